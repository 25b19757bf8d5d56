/** Why the channels of one value stay. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import type { Target } from '../passes/target.ts'
import { printType, unknownType } from '../ir/type.ts'
import { closestNames } from '../ir/closest.ts'
import { ownAxesOf, viewsOf } from '../passes/channel-elimination/views.ts'
import { eliminateChannels } from '../passes/channel-elimination/index.ts'
import type { Observer } from '../passes/pass.ts'
import { formatRanges } from '../report/ranges.ts'
import { plural } from '../report/units.ts'

/** Remembers the graphs that channel elimination saw. */
export const watchElimination = (): { readonly observer: Observer; readonly seen: ReadonlyArray<Graph> } => {
  const seen: Graph[] = []
  const observer: Observer = (pass, before) => {
    if (pass.name === 'channel-elimination' && seen.at(-1) !== before) seen.push(before)
  }
  return { observer, seen }
}

/** What is known of the channels of an axis, counted in the graph of that round. */
export interface AxisFate {
  readonly value: ValueId
  readonly type: string
  readonly axis: number
  readonly channels: number
  /** Channels that an output depends on. */
  readonly needed: number
  readonly stays: ReadonlyArray<{ readonly channels: string; readonly count: number; readonly reason: string }>
}

/**
 * The fate of the channels of `name` in the last round of channel elimination that still has it: a value, a node (also
 * what it reads and makes), or a weight (the same for its readers). Fails where no round has it.
 */
export const explainName = (
  seen: ReadonlyArray<Graph>,
  name: string,
  target: Target,
): E.Either<Failure, ReadonlyArray<AxisFate>> => {
  const graph = seen.findLast((one) => valuesNamed(one, name).length > 0)
  if (graph !== undefined) {
    return E.right(valuesNamed(graph, name).flatMap((value) => fatesOf(graph, value, target)))
  }
  const [first] = seen
  const names = first === undefined ? [] : [...first.types.keys(), ...first.nodes.map((node) => node.name)]
  const close = closestNames(name, names, 3).join(', ')
  const help = close === '' ? 'The model has no channels to explain.' : `The closest names are ${close}.`
  return E.left(failure('UsageError', `--why ${name}`, 'a value, layer or weight of the model', 'none', help))
}

const valuesNamed = (graph: Graph, name: string): ReadonlyArray<ValueId> => {
  const values = new Set<ValueId>(graph.types.has(name) ? [name] : [])
  for (const { node, contraction } of viewsOf(graph)) {
    if (node.name !== name && !(graph.constants.has(name) && node.inputs.includes(name))) continue
    for (const value of [node.inputs[contraction?.port ?? 0] ?? '', ...node.outputs]) values.add(value)
  }
  return [...values].filter((value) => value !== '' && !graph.constants.has(value))
}

const fatesOf = (graph: Graph, value: ValueId, target: Target): ReadonlyArray<AxisFate> => {
  const { before, facts, decision } = eliminateChannels(graph, { target })
  // What only the nodes of a normalisation see has no channels of its own.
  if (!before.types.has(value)) return []
  return ownAxesOf(graph, value).flatMap((size, axis) => {
    if (size === undefined || size < 2) return []
    const live = facts.live(value, axis)
    const constants = facts.constants(value, axis)
    const stays = new Map<string, number[]>()
    let needed = 0
    for (let i = 0; i < size; i++) {
      if (live?.[i] !== 0 && Number.isNaN(constants?.[i] ?? NaN)) {
        needed += 1
        continue
      }
      const reason = decision.reason(value, axis, i)?.text
      if (reason === undefined) continue
      const known = stays.get(reason)
      if (known) known.push(i)
      else stays.set(reason, [i])
    }
    return [
      {
        value,
        type: printType(graph.types.get(value) ?? unknownType),
        axis,
        channels: size,
        needed,
        stays: Array.from(stays, ([reason, list]) => ({ channels: formatRanges(list), count: list.length, reason })),
      },
    ]
  })
}

export const renderFates = (name: string, fates: ReadonlyArray<AxisFate>): string => {
  const lines = [`Why channels of ${name} stay, in the last round of channel elimination that has it:`]
  if (fates.length === 0) lines.push('  it has no axis with more than one channel.')
  for (const { value, type, axis, channels, needed, stays } of fates) {
    lines.push(`  ${value} ${type}, axis ${axis}: ${plural(channels, 'channel')}, ${needed} needed`)
    for (const { channels: list, count, reason } of stays) lines.push(`    ${count} (${list}) ${reason}`)
  }
  return lines.join('\n')
}
