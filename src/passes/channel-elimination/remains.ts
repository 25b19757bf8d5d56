/**
 * Dead channels that stay (for width, groups or a neighbour) are written as zeros where a contraction makes them, so what
 * follows is f(0). Zero weights cancel any finite number, but not a NaN or an infinity: a channel that then holds no
 * number known to be finite has to be computed as before.
 */
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { axesOf, type Channel, type ChannelFacts, sliceReader, viewsOf } from './analyse.ts'
import type { Decision } from './decide.ts'

/** What channels of a value hold after shrinking, where that is known, and which of them hold something else than before. */
interface Remains {
  readonly known: ReadonlyArray<Float64Array | undefined>
  readonly changed: ReadonlyArray<Float64Array | undefined>
}

export const endangeredBy = (graph: Graph, facts: ChannelFacts, decision: Decision): ReadonlyArray<Channel> => {
  const remains = new Map<ValueId, Remains>()
  const endangered: Channel[] = []
  const known = (value: ValueId, axis: number): Float64Array | undefined =>
    remains.get(value)?.known[axis] ?? facts.constants(value, axis)
  const changed = (value: ValueId, axis: number): Float64Array =>
    remains.get(value)?.changed[axis] ?? new Float64Array(axesOf(graph, value)[axis] ?? 0)
  const uniform = (value: ValueId): number | undefined =>
    remains
      .get(value)
      ?.known.map(sameNumber)
      .find((x) => x !== undefined) ?? facts.uniform(value)
  for (const { node, op, ctx, links, contraction: c } of viewsOf(graph)) {
    const reached = node.inputs.some((input) => remains.has(input))
    if (links === 'opaque' || (c === undefined && !reached)) continue
    for (const [k, value] of node.outputs.entries()) {
      if (value === '' || decision.vanished(value)) continue
      const found = axesOf(graph, value).map((size = 0, axis) => {
        const dead = deadOf(size, value, axis, facts, decision)
        const after = Float64Array.from(facts.constants(value, axis) ?? new Float64Array(size).fill(NaN))
        const marks = new Float64Array(size)
        const isMade = c?.payable === true && k === 0 && axis === c.outputAxis
        const reads = node.inputs.map((input, port) => ({
          known: sliceReader(input, port, k, axis, links, known, uniform),
          changed: sliceReader(input, port, k, axis, links, changed, (x) => (remains.has(x) ? 1 : 0)),
        }))
        for (const i of dead) {
          const isSummed = c !== undefined && axis === c.outputAxis
          if (!isSummed && reads.every((read) => (read.changed(i) ?? 0) === 0)) continue
          marks[i] = 1
          const slices = reads.map((read) => read.known(i))
          after[i] = isMade ? 0 : (op.constant?.(ctx, slices, k, axis) ?? NaN)
        }
        return { axis, marks, after }
      })
      if (!found.some(({ marks }) => marks.includes(1))) continue
      remains.set(value, { known: found.map(({ after }) => after), changed: found.map(({ marks }) => marks) })
      if (found.some(({ after }) => after.length > 0 && after.every(Number.isFinite))) continue
      for (const { axis, marks, after } of found) {
        marks.forEach((mark, index) => {
          if (mark === 1 && !Number.isFinite(after[index])) endangered.push({ value, axis, index })
        })
      }
    }
  }
  return endangered
}

/** The number that all channels hold, if there is one. */
const sameNumber = (values: Float64Array | undefined): number | undefined => {
  const [first = NaN] = values ?? []
  return Number.isFinite(first) && values?.every((x) => x === first) === true ? first : undefined
}

/** Channels that stay although nothing needs them and they are not constant. */
const deadOf = (
  size: number,
  value: ValueId,
  axis: number,
  facts: ChannelFacts,
  decision: Decision,
): ReadonlyArray<number> => {
  const exact = facts.exact(value, axis)
  if (exact?.includes(0) !== true) return []
  const kept = decision.kept(value, axis)
  return kept === undefined
    ? Array.from({ length: size }, (_, i) => i).filter((i) => exact[i] === 0)
    : [...kept].filter((i) => exact[i] === 0)
}
