/** Images in another size. */
import { Concat } from '../../../ir/ops/concat.ts'
import { Gather } from '../../../ir/ops/gather.ts'
import { Resize } from '../../../ir/ops/resize.ts'
import { Shape as ShapeOp } from '../../../ir/ops/shape.ts'
import { Slice } from '../../../ir/ops/slice.ts'
import { int64s, tensorOf } from '../../../ir/tensor.ts'
import { staticShape } from '../../../ir/type.ts'
import type { Builder } from '../builder.ts'
import type { Operand } from '../operand.ts'

/** Where the places of the result lie between those of the image, as TensorFlow's flags say. */
export interface Grid {
  readonly alignCorners: boolean
  readonly halfPixelCenters: boolean
}

/** The place in the image that place `at` of the result is nearest to, by TensorFlow's rule. */
const nearest = (at: number, from: number, to: number, { alignCorners, halfPixelCenters }: Grid): number => {
  const aligned = alignCorners && to > 1
  const ratio = (aligned ? from - 1 : from) / (aligned ? to - 1 : to)
  const place = halfPixelCenters ? (at + 0.5) * ratio : at * ratio
  return Math.max(0, Math.min(from - 1, alignCorners ? Math.round(place) : Math.floor(place)))
}

type Mode = 'nearest' | 'linear'

const attributesOf = (mode: Mode, { alignCorners, halfPixelCenters }: Grid) => ({
  mode,
  coordinate_transformation_mode: alignCorners
    ? ('align_corners' as const)
    : halfPixelCenters
      ? ('half_pixel' as const)
      : ('asymmetric' as const),
  nearest_mode: alignCorners || halfPixelCenters ? ('round_prefer_ceil' as const) : ('floor' as const),
})

/** Height and width of a value with channels first, where they are known. */
const sizesOf = (b: Builder, value: string): ReadonlyArray<number> | undefined => {
  const type = b.typeOf(value)
  return type.kind === 'tensor' ? staticShape(type.shape?.slice(2)) : undefined
}

/** An image `[N, H, W, C]` with height and width multiplied by whole numbers. */
export const enlarge = (b: Builder, x: Operand, factors: ReadonlyArray<number>, mode: Mode, grid: Grid): Operand => {
  const scales = b.tensor(tensorOf('float32', [factors.length + 2], [1, 1, ...factors]))
  return b.computed(b.node(Resize, [b.first(x), '', scales], attributesOf(mode, grid)), 'first')
}

/** An image `[N, H, W, C]` with height and width `to`. */
export const resize = (b: Builder, x: Operand, to: Operand, mode: Mode, grid: Grid): Operand => {
  const value = b.first(x)
  const [from, sizes] = [sizesOf(b, value), b.integersOf(to)]
  if (from === undefined || sizes === undefined) return resizeTo(b, value, b.asInt64(to), attributesOf(mode, grid))
  const factors = sizes.map((size, axis) => size / (from[axis] ?? 0))
  const isWhole = factors.every(Number.isSafeInteger)
  if (isWhole && !grid.alignCorners) return enlarge(b, x, factors, mode, grid)
  if (mode === 'linear') {
    const scales = b.tensor(tensorOf('float32', [factors.length + 2], [1, 1, ...factors]))
    // The size is the scaled one rounded down, unless it is given; then the batch has to be as well.
    const exact = factors.every((factor, axis) => Math.floor(Math.fround(factor) * (from[axis] ?? 0)) === sizes[axis])
    if (exact) return b.computed(b.node(Resize, [value, '', scales], attributesOf(mode, grid)), 'first')
    return resizeTo(b, value, b.int64(sizes), attributesOf(mode, grid))
  }
  if (sizes.some((size) => size > largest)) return resizeTo(b, value, b.int64(sizes), attributesOf(mode, grid))
  // Where rounding decides which place is nearest, it is decided here.
  let out = value
  for (const [axis, size] of sizes.entries()) {
    const length = from[axis] ?? 1
    const indices = Array.from({ length: size }, (_, at) => nearest(at, length, size, grid))
    out = b.node(Gather, [out, b.tensor(int64s(indices))], { axis: axis + 2 })
  }
  return b.computed(out, 'first')
}

/** Places along an axis that are written one by one, at most. */
const largest = 2 ** 16

/** With the sizes that a value of 64-bit integers holds. */
const resizeTo = (b: Builder, value: string, sizes: string, attrs: ReturnType<typeof attributesOf>): Operand => {
  const [head, two] = [b.int64([0]), b.int64([2])]
  const kept = b.node(Slice, [b.node(ShapeOp, [value]), head, two, head])
  const all = b.node(Concat, [kept, sizes], { axis: 0 })
  return b.computed(b.node(Resize, [value, '', '', all], attrs), 'first')
}
