/** Resampling of axes: where output places lie on the input, and what is computed there. Shared by Resize and Upsample. */
import { isFloat } from '../dtype.ts'
import { forEachIndex, move, numbersOf, stridesOf } from '../evaluate.ts'
import { type Dense, isNumeric, tensorOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'

export type CoordinateMode =
  | 'half_pixel'
  | 'half_pixel_symmetric'
  | 'pytorch_half_pixel'
  | 'align_corners'
  | 'asymmetric'
  | 'tf_half_pixel_for_nn'
  | 'tf_crop_and_resize'

/** `simple` is what Resize did before opset 11: rounding down, or up where the axis gets shorter. */
export type NearestMode = 'round_prefer_floor' | 'round_prefer_ceil' | 'floor' | 'ceil' | 'simple'

export interface Resampling {
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly coordinates: CoordinateMode
  readonly nearest: NearestMode
  readonly cubic: number
  readonly excludeOutside: boolean
  readonly extrapolation: number
}

/** One axis: sizes, their ratio as given, and the part of it that is read, as fractions of its last index. */
export interface ResampledAxis {
  readonly from: number
  readonly to: number
  readonly scale: number
  readonly start: number
  readonly end: number
}

const f32 = Math.fround

/**
 * Size of an axis after scaling; undefined where runtimes do not agree with themselves: ONNX Runtime makes as many elements as the
 * product has in float32 (9 of 5 · 1.8), and ONNX's shape inference, by which it loads a model, says as many as the exact one (8).
 */
export const scaledSize = (size: number, scale: number): number | undefined => {
  const [made, declared] = [Math.floor(f32(f32(scale) * size)), Math.floor(f32(scale) * size)]
  return made === declared ? made : undefined
}

/** The place on the input that output index `o` lies at, in float32 like the runtime, which decides between neighbours. */
const place = (mode: CoordinateMode, o: number, { from, to, scale, start, end }: ResampledAxis): number => {
  const middle = f32(f32(o + 0.5) / f32(scale))
  switch (mode) {
    case 'half_pixel':
      return f32(middle - 0.5)
    case 'half_pixel_symmetric': {
      const adjustment = f32(to / f32(f32(scale) * from))
      return f32(f32(f32((from / 2) * f32(1 - adjustment)) + middle) - 0.5)
    }
    case 'pytorch_half_pixel':
      return to > 1 ? f32(middle - 0.5) : 0
    case 'align_corners':
      return to === 1 ? 0 : f32(f32(o * (from - 1)) / (to - 1))
    case 'asymmetric':
      return f32(o / f32(scale))
    case 'tf_half_pixel_for_nn':
      return middle
    case 'tf_crop_and_resize':
      return to > 1
        ? f32(f32(start * (from - 1)) + f32(f32(f32(o * f32(end - start)) * (from - 1)) / (to - 1)))
        : f32(0.5 * f32(start + end) * (from - 1))
  }
}

const nearestIndex = (mode: NearestMode, x: number, scale: number): number => {
  switch (mode) {
    case 'round_prefer_floor':
      return Math.ceil(f32(x - 0.5))
    case 'round_prefer_ceil':
      return Math.floor(f32(x + 0.5))
    case 'floor':
      return Math.floor(x)
    case 'ceil':
      return Math.ceil(x)
    case 'simple':
      return scale < 1 ? Math.ceil(x) : Math.floor(x)
  }
}

/** Whether rounding errors in the place decide between two neighbours, in the modes that runtimes compute differently. */
const isUndecided = ({ coordinates, nearest }: Resampling, x: number): boolean => {
  if (coordinates !== 'half_pixel_symmetric' && coordinates !== 'tf_crop_and_resize') return false
  const border = nearest === 'floor' || nearest === 'ceil' ? x : x - 0.5
  return Math.abs(border - Math.round(border)) < 1e-4
}

/** Input indices and the weights with which they make up one output index. */
interface Taps {
  readonly indices: ReadonlyArray<number>
  readonly weights: ReadonlyArray<number>
}

const clampTo = (i: number, size: number): number => Math.max(0, Math.min(size - 1, i))

/** Keys' cubic convolution kernel at distance `t`. */
const keys = (a: number, t: number): number => {
  const d = Math.abs(t)
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1
  return d < 2 ? ((a * d - 5 * a) * d + 8 * a) * d - 4 * a : 0
}

const tapsAt = (r: Resampling, x: number, size: number): Taps => {
  const base = Math.floor(x)
  const t = x - base
  if (r.mode === 'linear') {
    return { indices: [clampTo(base, size), clampTo(base + 1, size)], weights: [1 - t, t] }
  }
  const around = [base - 1, base, base + 1, base + 2]
  const raw = around.map((i) => (r.excludeOutside && (i < 0 || i >= size) ? 0 : keys(r.cubic, x - i)))
  const sum = r.excludeOutside ? raw.reduce((s, w) => s + w, 0) : 1
  return { indices: around.map((i) => clampTo(i, size)), weights: raw.map((w) => w / sum) }
}

/** Values of `axis` replaced by weighted sums of them. */
const alongAxis = (
  values: Float64Array,
  shape: ReadonlyArray<number>,
  axis: number,
  taps: ReadonlyArray<Taps>,
): Float64Array => {
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const size = shape[axis] ?? 0
  const out = new Float64Array(outer * taps.length * inner)
  for (let o = 0; o < outer; o++) {
    taps.forEach(({ indices, weights }, at) => {
      indices.forEach((i, k) => {
        const weight = weights[k] ?? 0
        if (weight === 0) return
        for (let n = 0; n < inner; n++) {
          const to = (o * taps.length + at) * inner + n
          out[to] = (out[to] ?? 0) + weight * (values[(o * size + i) * inner + n] ?? 0)
        }
      })
    })
  }
  return out
}

const keepsSize = ({ from, to, scale }: ResampledAxis): boolean => from === to && scale === 1

/** Whether an axis keeps all its indices. */
const isUntouched = (axis: ResampledAxis, { coordinates }: Resampling): boolean =>
  keepsSize(axis) && coordinates !== 'tf_crop_and_resize' && coordinates !== 'tf_half_pixel_for_nn'

/** Whether the specification and the runtime agree on where the places of an axis lie. */
const isSettled = (axis: ResampledAxis, { coordinates }: Resampling): boolean => {
  const { from, to, scale, start, end } = axis
  if (coordinates === 'tf_half_pixel_for_nn') return !keepsSize(axis)
  if (coordinates === 'tf_crop_and_resize') return !keepsSize(axis) || (start === 0 && end === 1)
  // One counts with the size before rounding, the other with the one after.
  return coordinates !== 'align_corners' || Math.abs(scale * from - to) < 1e-3
}

/**
 * `x` resampled along every axis. Indices beyond the border are the border's. Undefined for interpolated integers,
 * whose rounding ONNX leaves open, and where the runtime departs from the specification.
 */
export const resample = (x: Dense, axes: ReadonlyArray<ResampledAxis>, r: Resampling): Dense | undefined => {
  const shape = axes.map(({ to }) => to)
  if (!isNumeric(x.dtype) || !axes.every((axis) => isSettled(axis, r))) return undefined
  if (x.shape.includes(0)) return shape.includes(0) ? tensorOf(x.dtype, shape, []) : undefined
  const places = axes.map((axis) =>
    Array.from({ length: axis.to }, (_, o) => (isUntouched(axis, r) ? o : place(r.coordinates, o, axis))),
  )
  const outside = (axis: number, o: number): boolean => {
    const at = places[axis]?.[o] ?? 0
    return r.coordinates === 'tf_crop_and_resize' && (at < 0 || at > (x.shape[axis] ?? 0) - 1)
  }
  if (r.mode === 'nearest') {
    if (axes.some((axis, a) => !keepsSize(axis) && places[a]?.some((at) => isUndecided(r, at)))) return undefined
    const strides = stridesOf(x.shape)
    const sources = axes.map(
      (axis, a) => places[a]?.map((at) => clampTo(nearestIndex(r.nearest, at, axis.scale), axis.from)) ?? [],
    )
    return move(
      x,
      shape,
      (index) => {
        let at = 0
        for (let a = 0; a < shape.length; a++) {
          const o = index[a] ?? 0
          if (outside(a, o)) return -1
          at += (sources[a]?.[o] ?? 0) * (strides[a] ?? 0)
        }
        return at
      },
      tensorOf(x.dtype, [], [r.extrapolation]).bytes,
    )
  }
  if (!isFloat(x.dtype)) return undefined
  let values: Float64Array = Float64Array.from(numbersOf(x))
  const sizes = [...x.shape]
  axes.forEach((axis, a) => {
    if (isUntouched(axis, r)) return
    values = alongAxis(values, sizes, a, places[a]?.map((at) => tapsAt(r, at, axis.from)) ?? [])
    sizes[a] = axis.to
  })
  if (r.coordinates === 'tf_crop_and_resize') {
    forEachIndex(shape, (index, flat) => {
      if (index.some((o, a) => outside(a, o))) values[flat] = r.extrapolation
    })
  }
  return tensorOf(x.dtype, shape, values)
}
