/**
 * Integers that stand for real numbers: `x = (q - zero) · scale` and back, with one scale and one zero for a tensor, or one for each
 * index along an axis. Rounding and saturation are those of ONNX, in single precision as runtimes compute.
 */
import { bitsOf, type DType, isFloat } from '../dtype.ts'
import { numbersOf } from '../evaluate.ts'
import { inputShape, outputShape, sameAxes, sameIndex } from '../links.ts'
import type { AxisLink, NodeContext } from '../op.ts'
import { heldPart } from '../held.ts'
import type { Dense, Held } from '../tensor.ts'
import { type Dim, isStatic } from '../type.ts'

/** The least and largest number of an integer type of up to 32 bits. */
export const integerRange = (dtype: DType): readonly [low: number, high: number] => {
  const bits = bitsOf(dtype)
  return dtype.startsWith('u') ? [0, 2 ** bits - 1] : [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
}

/** Whether a type is one that integers standing for real numbers have. */
export const isQuantized = (dtype: DType): boolean => /^u?int(2|4|8|16|32)$/.test(dtype)

/** Rounded to the nearest integer, ties to the even one. */
export const roundToEven = (x: number): number => {
  const floor = Math.floor(x)
  const rest = x - floor
  return rest < 0.5 || (rest === 0.5 && floor % 2 === 0) ? floor : floor + 1
}

/** How near to halfway between two integers a number is rounded to neither, relative to the terms that it is the sum of. */
const tie = 2 ** -18

/**
 * `saturate(round(x) + zero)`; undefined where an error in the last digits of `x` could decide between two integers. `size` is the
 * magnitude of what `x` is the sum of.
 */
export const quantized = (x: number, zero: number, dtype: DType, size = Math.abs(x)): number | undefined => {
  const [low, high] = integerRange(dtype)
  const at = (v: number): number => Math.min(high, Math.max(low, roundToEven(v) + zero))
  const y = at(x)
  return at(x - tie * size) === y && at(x + tie * size) === y ? y : undefined
}

/** Along which axis of input 0 there is a scale for each index; undefined for one scale, or where that is not known. */
export const scaleAxis = (ctx: NodeContext<{ readonly axis: number }>): number | undefined => {
  const rank = inputShape(ctx, 0)?.length
  const scale = inputShape(ctx, 1)
  if (rank === undefined || scale === undefined || scale.length !== 1 || scale[0] === 1) return undefined
  return ctx.attrs.axis < 0 ? ctx.attrs.axis + rank : ctx.attrs.axis
}

interface Attributes {
  readonly axis: number
  readonly block_size: number
}

/** How scales belong to the elements of an input: by an axis, or by blocks along it; undefined where that is not known. */
export const scalingOf = (ctx: NodeContext<Attributes>): Pick<Held, 'axis' | 'block'> | undefined => {
  const [x, scale] = [inputShape(ctx, 0), inputShape(ctx, 1)]
  if (x === undefined || scale === undefined) return undefined
  if (ctx.attrs.block_size !== 0) {
    const axis = ctx.attrs.axis < 0 ? ctx.attrs.axis + x.length : ctx.attrs.axis
    const block = ctx.attrs.block_size
    const fits = scale.length === x.length && scale.every((size, a) => size === blocksOf(x[a], a === axis ? block : 1))
    return fits ? { axis, block } : undefined
  }
  if (scale.length > 1) return undefined
  const axis = scaleAxis(ctx)
  if (axis === undefined) return scale.length === 0 || scale[0] === 1 ? { axis: 0 } : undefined
  return isStatic(scale[0]) && scale[0] === x[axis] ? { axis } : undefined
}

const blocksOf = (size: Dim | undefined, block: number): Dim | undefined =>
  isStatic(size) ? Math.ceil(size / block) : undefined

/** Element by element, with the scale and the zero of the axis that they are for; blocks are not taken apart. */
export const scaledLinks = (ctx: NodeContext<Attributes>): ReadonlyArray<AxisLink> | 'opaque' => {
  const scaling = scalingOf(ctx)
  if (scaling === undefined || scaling.block !== undefined) return 'opaque'
  const axis = scaleAxis(ctx)
  const links = sameAxes(ctx)
  if (axis === undefined) return links
  const size = outputShape(ctx)?.[axis]
  const ports = [1, 2].filter((port) => inputShape(ctx, port)?.[0] === size)
  // Scale and zero are of one size.
  if (ports.length === 1 && inputShape(ctx, 2)?.length !== 0 && ctx.inputs[2] !== undefined) return 'opaque'
  return [...links, ...ports.map((port) => sameIndex(port, 0, 0, axis))]
}

/** `saturate(round(x / scale) + zero)` of every element; undefined for types that are not evaluated. */
export const quantize = (
  x: Dense,
  scale: Dense,
  zero: Dense | undefined,
  scaling: Pick<Held, 'axis' | 'block'>,
  dtype: DType,
): Float64Array | undefined => {
  if (!isFloat(x.dtype) || !isQuantized(dtype)) return undefined
  const [low, high] = integerRange(dtype)
  const where = { ...scaling, shape: x.shape }
  const [scaleAt, zeroAt] = [heldPart(where, numbersOf(scale), 1), heldPart(where, zero && numbersOf(zero), 0)]
  return Float64Array.from(numbersOf(x), (v, i) => {
    const q = roundToEven(Math.fround(v / scaleAt(i))) + zeroAt(i)
    return Math.min(high, Math.max(low, q))
  })
}
