/** What operators that normalise over some axes share. */
import type { DType } from '../dtype.ts'
import { forEachIndex, numbersOf, stridesOf } from '../evaluate.ts'
import { precisionOf } from '../numerics.ts'
import type { Dense } from '../tensor.ts'
import { sizeOf } from '../type.ts'

/**
 * Whether `(c - mean) / √(variance + epsilon)` of a constant c is 0 for a runtime too. The mean of equal numbers differs
 * from them by a rounding error and the mean of their squares from `c²`, which a small epsilon magnifies; beyond 2^-8 of
 * epsilon the result is not taken for 0, nor where epsilon itself may be rounded to 0.
 */
export const centresToZero = (c: number, epsilon: number, dtype: DType): boolean =>
  epsilon >= Math.max(2 ** -126, precisionOf(dtype).tiny) &&
  c * c * 2 ** -precisionOf(dtype).digits <= 2 ** -8 * epsilon

/** All numbers of `x`, those that differ only in their place along `axes` replaced by what `normalise` makes of them. */
export const normaliseOver = (
  x: Dense,
  axes: ReadonlySet<number>,
  normalise: (values: ReadonlyArray<number>) => ReadonlyArray<number>,
): Float64Array => {
  const xs = numbersOf(x)
  const strides = stridesOf(x.shape)
  const inner = x.shape.map((dim, axis) => (axes.has(axis) ? dim : 1))
  const outer = x.shape.map((dim, axis) => (axes.has(axis) ? 1 : dim))
  const flatOf = (index: Int32Array): number => index.reduce((at, i, axis) => at + i * (strides[axis] ?? 0), 0)
  const offsets = new Int32Array(sizeOf(inner))
  forEachIndex(inner, (index, flat) => {
    offsets[flat] = flatOf(index)
  })
  const out = new Float64Array(xs.length)
  forEachIndex(outer, (index) => {
    const start = flatOf(index)
    const values = normalise(Array.from(offsets, (offset) => xs[start + offset] ?? 0))
    offsets.forEach((offset, i) => {
      out[start + offset] = values[i] ?? 0
    })
  })
  return out
}

/** `(x - mean) / √(variance + epsilon)`, with the mean and the factor used. */
export const standardise = (
  values: ReadonlyArray<number>,
  epsilon: number,
): { readonly mean: number; readonly factor: number; readonly values: ReadonlyArray<number> } => {
  let sum = 0
  for (const v of values) sum += v
  const mean = sum / values.length
  let squares = 0
  for (const v of values) squares += (v - mean) ** 2
  const factor = 1 / Math.sqrt(squares / values.length + epsilon)
  return { mean, factor, values: values.map((v) => (v - mean) * factor) }
}

/** The axes from `first` on. */
export const axesFrom = (first: number, rank: number): ReadonlySet<number> =>
  new Set(Array.from({ length: rank - first }, (_, i) => first + i))

/** Reads `tensor` at indices of a tensor of rank `rank` that it broadcasts to. */
export const broadcastAt = (tensor: Dense, rank: number): ((index: Int32Array) => number) => {
  const [values, strides] = [numbersOf(tensor), stridesOf(tensor.shape)]
  const first = rank - tensor.shape.length
  return (index) => {
    let at = 0
    for (let a = 0; a < tensor.shape.length; a++) {
      if (tensor.shape[a] !== 1) at += (index[first + a] ?? 0) * (strides[a] ?? 0)
    }
    return values[at] ?? 0
  }
}
