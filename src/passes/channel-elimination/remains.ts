/**
 * Dead channels that stay (for width, groups or a neighbour) are written as zeros where a contraction makes them, so what
 * follows is f(0). Zero weights cancel any finite number, but not a NaN or an infinity: a channel that is not known to be
 * finite then has to be computed as before. Known is a number; what an operator that is `total` makes; and what is only
 * passed on (`x + 0`) of a channel that did not change, or is known to be finite.
 */
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { axesOf, type ChannelFacts, type Endangered, sliceReader, viewsOf } from './analyse.ts'
import type { Decision } from './decide.ts'

/** What channels of a value hold after shrinking, where that is known, and which of them hold something else than before. */
interface Remains {
  readonly known: ReadonlyArray<Float64Array | undefined>
  readonly changed: ReadonlyArray<Float64Array | undefined>
  /** The number that all of the value holds, if there is one. */
  readonly uniform: number | undefined
}

export const endangeredBy = (graph: Graph, facts: ChannelFacts, decision: Decision): ReadonlyArray<Endangered> => {
  const remains = new Map<ValueId, Remains>()
  const endangered: Endangered[] = []
  const known = (value: ValueId, axis: number): Float64Array | undefined =>
    remains.get(value)?.known[axis] ?? facts.constants(value, axis)
  const changed = (value: ValueId, axis: number): Float64Array =>
    remains.get(value)?.changed[axis] ?? new Float64Array(axesOf(graph, value)[axis] ?? 0)
  const uniform = (value: ValueId): number | undefined => remains.get(value)?.uniform ?? facts.uniform(value)
  for (const { node, op, ctx, links, contraction: c } of viewsOf(graph)) {
    const reached = node.inputs.some((input) => remains.has(input))
    if (links === 'opaque' || (c === undefined && !reached)) continue
    for (const [k, value] of node.outputs.entries()) {
      if (value === '' || decision.vanished(value)) continue
      const found = axesOf(graph, value).map((size = 0, axis) => {
        const kept = decision.kept(value, axis) ?? Int32Array.from({ length: size }, (_, i) => i)
        const exact = facts.exact(value, axis)
        const after = Float64Array.from(facts.constants(value, axis) ?? new Float64Array(size).fill(NaN))
        const marks = new Float64Array(size)
        const safe = new Uint8Array(size)
        const isMade = c?.payable === true && k === 0 && axis === c.outputAxis
        const reads = node.inputs.map((input, port) => ({
          known: sliceReader(input, port, k, axis, links, known, uniform),
          changed: sliceReader(input, port, k, axis, links, changed, (x) => (remains.has(x) ? 1 : 0)),
        }))
        for (const i of kept) {
          if (exact?.[i] !== 0) continue
          const isSummed = c !== undefined && axis === c.outputAxis
          if (!isSummed && reads.every((read) => (read.changed(i) ?? 0) === 0)) continue
          marks[i] = 1
          const slices = reads.map((read) => read.known(i))
          after[i] = isMade ? 0 : (op.constant?.(ctx, slices, k, axis) ?? NaN)
          const isCopy = op.passes?.(ctx, slices) !== undefined
          if (Number.isFinite(after[i]) || (c === undefined && (op.total === true || isCopy))) safe[i] = 1
        }
        return { axis, kept, marks, after, safe }
      })
      if (!found.some(({ marks }) => marks.includes(1))) continue
      // One number along one axis is that number along all of them.
      const one = found.map(({ kept, after }) => sameNumber(kept, after)).find((x) => x !== undefined)
      for (const { marks, after } of one === undefined ? [] : found) {
        marks.fill(1)
        after.fill(one ?? NaN)
      }
      remains.set(value, {
        known: found.map(({ after }) => after),
        changed: found.map(({ marks }) => marks),
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

/** The number that all channels in `kept` hold, if there is one. */
const sameNumber = (kept: Int32Array, values: Float64Array): number | undefined => {
  const first = values[kept[0] ?? -1] ?? NaN
  return Number.isFinite(first) && kept.every((i) => values[i] === first) ? first : undefined
}
