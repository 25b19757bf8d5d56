/** Operators whose results depend on all channels of an axis: what they share about channels that leave ({@link Statistics}). */
import { broadcastLinks, inputShape, outputShape, sameIndex } from '../links.ts'
import { makeNode } from '../make-node.ts'
import type { NodeContext, Rewrite, ShrinkContext, Statistics, ValueId } from '../op.ts'
import { Slice } from '../ops/slice.ts'
import { gather, int64s, type Tensor } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'
import { firstPad } from './put-back.ts'

/**
 * The statistics of an operator that normalises over the axes from `first` on, with parameters on `ports`: where that is one
 * axis, of known size, and the parameters are constants.
 */
export const normalisedAxis = (
  ctx: NodeContext<unknown>,
  first: number,
  ports: ReadonlyArray<number>,
  rest: Pick<Statistics, 'leaves' | 'isPadded'>,
): ReadonlyArray<Statistics> => {
  const shape = inputShape(ctx, 0)
  const axis = shape && normalizeAxis(first, shape.length)
  if (shape === undefined || axis !== shape.length - 1 || !isStatic(shape[axis])) return []
  if (rest.isPadded && ctx.opset < firstPad) return []
  if (ports.some((port) => ctx.node.inputs[port] && ctx.constant(port) === undefined)) return []
  const parameters = broadcastLinks(ctx, ports).filter((link) => link.outputAxis === axis)
  return [{ port: 0, axis, groups: 1, links: [sameIndex(0, axis, 0, axis), ...parameters], ...rest }]
}

/** Of the channels along an axis of input 0, those that leave. */
export const channelsGone = (s: ShrinkContext<unknown>, axis: number): Int32Array => {
  const kept = new Set(s.keptInput(0, axis))
  return Int32Array.from({ length: Number(inputShape(s, 0)?.[axis]) }, (_, i) => i).filter((i) => !kept.has(i))
}

/** The constants of channels along an axis of input 0. */
export const constantsAt = (s: ShrinkContext<unknown>, axis: number, channels: Int32Array): Float64Array => {
  const all = s.constantsOf(0, axis)
  return Float64Array.from(channels, (i) => all?.[i] ?? 0)
}

/** What stays of a constant parameter that broadcasts to output 0: `indices` along `axis` of that, in their order. */
export const parameterOf = (
  s: ShrinkContext<unknown>,
  port: number,
  tensor: Tensor,
  axis: number,
  indices: Int32Array,
): Tensor => {
  const missing = (outputShape(s)?.length ?? 0) - tensor.shape.length
  return tensor.shape.reduce<Tensor>((selected, size, at) => {
    if (at + missing === axis) return size === 1 ? selected : gather(selected, at, indices)
    const kept = s.keptInput(port, at)
    return kept === undefined ? selected : gather(selected, at, kept)
  }, tensor)
}

/** The first `kept` channels along `axis` of `x`, as `y`. */
export const takeFirst = (
  s: ShrinkContext<unknown>,
  [x, y]: readonly [ValueId, ValueId],
  axis: number,
  kept: number,
): Rewrite => {
  const names = ['starts', 'ends', 'axes'].map((hint) => s.fresh(`${y}_${hint}`))
  const constants = new Map(names.map((name, i) => [name, int64s([[0, kept, axis][i] ?? 0])]))
  return { nodes: [makeNode(Slice, [x, ...names], [y])], constants }
}

/** Rewrites one after another. */
export const joined = (rewrites: ReadonlyArray<Rewrite>): Rewrite => ({
  nodes: rewrites.flatMap(({ nodes }) => nodes),
  constants: new Map(rewrites.flatMap(({ constants }) => [...constants])),
})
