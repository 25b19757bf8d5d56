/**
 * Dead channels that stay (for width, groups or a neighbour) are written as zeros where a contraction makes them, so what
 * follows is f(0). Zero weights cancel any finite number, but not a NaN or an infinity: a channel that is not known to be
 * finite then has to be computed as before. Known is a number; what an operator that is `total` makes; and what is only
 * passed on (`x + 0`) of a channel that did not change, or is known to be finite. The same holds for what a constant was concluded
 * beside: `0 / x` is 0 of no zero.
 */
import { copied } from '../../ir/families/movement.ts'
import type { Graph } from '../../ir/graph.ts'
import { placeOf } from '../../ir/links.ts'
import type { AxisLink, Node, SliceFact, ValueId } from '../../ir/op.ts'
import type { ChannelFacts, Endangered } from './analyse.ts'
import type { Decision } from './decide.ts'
import { isBundled } from './mixing.ts'
import { type Known, linksTo, type SliceReader, sliceReader } from './slice-readers.ts'
import { trackingOf } from './tracking.ts'
import { axesOf, viewsOf } from './views.ts'

/** What channels of a value hold after shrinking, where that is known, and which of them hold something else than before. */
interface Remains {
  readonly known: ReadonlyArray<Known>
  readonly changed: ReadonlyArray<Known>
  /** The number that all of the value holds, if there is one. */
  readonly uniform: number | undefined
}

export const endangeredBy = (graph: Graph, facts: ChannelFacts, decision: Decision): ReadonlyArray<Endangered> => {
  const tracking = trackingOf(graph)
  const remains = new Map<ValueId, Remains>()
  const endangered: Endangered[] = []
  const known = (value: ValueId, axis: number): Known => remains.get(value)?.known[axis] ?? facts.known(value, axis)
  const changed = (value: ValueId, axis: number): Known => remains.get(value)?.changed[axis] ?? 0
  const uniform = (value: ValueId): number | undefined => remains.get(value)?.uniform ?? facts.uniform(value)
  for (const { node, op, ctx, links, contraction: c, mixing, statistics } of viewsOf(graph)) {
    const reached = node.inputs.some((input) => remains.has(input))
    if (links === 'opaque' || (c === undefined && mixing === undefined && !reached)) continue
    for (const [k, value] of node.outputs.entries()) {
      if (value === '' || decision.vanished(value)) continue
      const found = axesOf(graph, value).map((size = 0, axis) => {
        // Along an axis that is not tracked one index stands for all.
        const tracked = tracking.tracked(value, axis)
        const count = tracked ? size : Math.min(1, size)
        const kept =
          (tracked ? decision.kept(value, axis) : undefined) ?? Int32Array.from({ length: count }, (_, i) => i)
        const before = facts.known(value, axis)
        const after = new Float64Array(count).map((_, i) => (typeof before === 'number' ? before : (before[i] ?? NaN)))
        const marks = new Float64Array(count)
        const safe = new Uint8Array(count)
        const inBundle = isBundled(mixing, 'output', k, axis)
        const isSummed = inBundle || (c !== undefined && axis === c.outputAxis)
        const zeroed = c?.makes === undefined ? 0 : c.makes(0)
        const made = inBundle ? mixing?.zeroed : isSummed && c?.payable === true && k === 0 ? zeroed : undefined
        const isDead = deadAlong(value, axis, tracked, facts)
        const linked = linksTo(links, k, axis)
        const reads = node.inputs.map((input, port) => ({
          known: sliceReader(input, linked.get(port) ?? [], size, known, uniform),
          changed: sliceReader(input, linked.get(port) ?? [], size, changed, (x) => (remains.has(x) ? 1 : 0)),
        }))
        const isSame = (reader: SliceReader, i: number): boolean => (reader.at(tracked ? i : reader.first) ?? 0) === 0
        // What is normalised changes with any of the channels.
        const isMixed = statistics.some(({ port }) => remains.has(node.inputs[port] ?? ''))
        for (const i of kept) {
          const slicesAt = (): ReadonlyArray<SliceFact> =>
            reads.map((read) => (tracked ? read.known.at(i) : wholeFact(read.known)))
          if (!isDead(i)) {
            // What is constant whatever another operand is (`0 / x`) may be none of zeros.
            const isGiven = typeof op.constant === 'function' && c === undefined && !Number.isNaN(after[i])
            if (!isGiven || mixing !== undefined || reads.every((read) => isSame(read.changed, i))) continue
            if (op.constant(ctx, slicesAt(), k, axis) !== undefined) continue
            for (const [port, read] of reads.entries())
              if (!isSame(read.changed, i)) endangered.push(...operandsOf(graph, node, linked.get(port), port, i))
            continue
          }
          if (!isSummed && !isMixed && reads.every((read) => isSame(read.changed, i))) continue
          marks[i] = 1
          const slices = slicesAt()
          const constant = op.constant === 'copied' ? copied(slices) : op.constant?.(ctx, slices, k, axis)
          after[i] = made ?? constant ?? NaN
          const isCopy = op.passes?.(ctx, slices) !== undefined
          if (Number.isFinite(after[i]) || (c === undefined && (op.total === true || isCopy))) safe[i] = 1
        }
        return { axis, tracked, kept, marks, after, safe }
      })
      if (!found.some(({ marks }) => marks.includes(1))) continue
      // One number along one axis is that number along all of them.
      const one = found.map(({ kept, after }) => sameNumber(kept, after)).find((x) => x !== undefined)
      for (const { marks, after } of one === undefined ? [] : found) {
        marks.fill(1)
        after.fill(one ?? NaN)
      }
      remains.set(value, {
        known: found.map(({ tracked, after }) => (tracked ? after : (after[0] ?? NaN))),
        changed: found.map(({ tracked, marks }) => (tracked ? marks : (marks[0] ?? 0))),
        uniform: one,
      })
      if (found.some(({ kept, after }) => kept.length > 0 && kept.every((i) => Number.isFinite(after[i])))) continue
      for (const { axis, marks, safe } of found) {
        marks.forEach((mark, index) => {
          if (mark === 1 && safe[index] === 0) endangered.push({ value, axis, index, maker: node })
        })
      }
    }
  }
  return endangered
}

/** The channels of a computed operand that belong to an index of an output axis, by the links into it: all of it where there are none. */
const operandsOf = (
  graph: Graph,
  node: Node,
  links: ReadonlyArray<AxisLink> | undefined,
  port: number,
  index: number,
): ReadonlyArray<Endangered> => {
  const value = node.inputs[port] ?? ''
  const all = (axis: number): ReadonlyArray<number> => [...Array(axesOf(graph, value)[axis] ?? 0).keys()]
  const named = (axis: number, indices: ReadonlyArray<number>): ReadonlyArray<Endangered> =>
    indices.map((i) => ({ value, axis, index: i, maker: node }))
  if (links === undefined) return named(0, all(0))
  return links.flatMap(({ inputAxis, from, into }) => {
    const place = from === undefined ? index : placeOf(from, index)
    if (into === undefined) return place < 0 ? [] : named(inputAxis, [place])
    return named(
      inputAxis,
      all(inputAxis).filter((i) => placeOf(into, i) === place),
    )
  })
}

/** Whether channels along an axis are neither needed nor constant. */
const deadAlong = (value: ValueId, axis: number, tracked: boolean, facts: ChannelFacts): ((i: number) => boolean) => {
  if (facts.removable(value, axis) === 0) return () => false
  if (!tracked) return () => Number.isNaN(facts.known(value, axis))
  const exact = facts.exact(value, axis)
  return (i) => exact?.[i] === 0
}

/** What a port holds for every index, where that is the same. */
const wholeFact = ({ fact }: SliceReader): SliceFact => (fact === 'various' ? undefined : fact)

/** The number that all channels in `kept` hold, if there is one. */
const sameNumber = (kept: Int32Array, values: Float64Array): number | undefined => {
  const first = values[kept[0] ?? -1] ?? NaN
  return Number.isFinite(first) && kept.every((i) => values[i] === first) ? first : undefined
}
