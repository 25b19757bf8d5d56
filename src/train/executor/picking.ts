/** Linear maps along one axis in memory: picking indices, and sums of them with weights. */
import type { Tensor } from '../backend/tensor.ts'
import type { DeviceOps } from '../backend/ops/types.ts'

export interface Picking {
  readonly pick: (x: Tensor) => Tensor
  readonly back: (dy: Tensor) => Tensor
}

const along = (x: Tensor, axis: number, size: number): ReadonlyArray<number> =>
  x.shape.map((d, a) => (a === axis ? size : d))

/**
 * Index o of the result is index `from[o]` of the axis, which has `size` of them, or `fill` everywhere where `from[o]` is
 * negative.
 */
export const picking = (k: DeviceOps, axis: number, size: number, from: Int32Array, fill: number): Picking => {
  const range = rangeOf(from)
  if (range !== undefined) return ranged(k, axis, size, range, fill)
  const uses = new Int32Array(size)
  for (const i of from) if (i >= 0) uses[i] = (uses[i] ?? 0) + 1
  if (from.some((i) => i < 0) || uses.some((n) => n > 1)) {
    const matrix = matrixOf(size, from)
    const map = mapping(k, axis, size, from.length, matrix)
    const filled = Float32Array.from(from, (i) => (i < 0 ? fill : 0))
    const shapeOf = (x: Tensor): ReadonlyArray<number> => x.shape.map((_, a) => (a === axis ? from.length : 1))
    return fill === 0 ? map : { pick: (x) => k.add(map.pick(x), k.tensor(filled, shapeOf(x))), back: map.back }
  }
  // Every index is used at most once: the way back picks from the gradient with a zero after its end.
  const inverse = new Int32Array(size).fill(from.length)
  for (const [o, i] of from.entries()) inverse[i] = o
  const everyIndex = uses.every((n) => n === 1)
  const after = (dy: Tensor) => dy.shape.map((_, a) => [0, a === axis ? 1 : 0] as const)
  return {
    pick: (x) => k.gather(x, from, axis),
    back: (dy) => k.gather(everyIndex ? dy : k.pad(dy, after(dy), 0), inverse, axis),
  }
}

/** Indices one after another, with padding around them. */
interface Range {
  readonly before: number
  readonly start: number
  readonly length: number
  readonly after: number
}

const rangeOf = (from: Int32Array): Range | undefined => {
  const before = from.findIndex((i) => i >= 0)
  if (before < 0) return undefined
  const start = from[before] ?? 0
  let end = before
  while (end < from.length && from[end] === start + end - before) end += 1
  for (let o = end; o < from.length; o++) if ((from[o] ?? 0) >= 0) return undefined
  return { before, start, length: end - before, after: from.length - end }
}

const ranged = (k: DeviceOps, axis: number, size: number, range: Range, fill: number): Picking => {
  const { before, start, length, after } = range
  const cut = (x: Tensor, begin: number, count: number): Tensor =>
    k.slice(
      x,
      x.shape.map((_, a) => (a === axis ? begin : 0)),
      along(x, axis, count),
    )
  const surround = (x: Tensor, begin: number, end: number, value: number): Tensor =>
    begin === 0 && end === 0
      ? x
      : k.pad(
          x,
          x.shape.map((_, a) => (a === axis ? ([begin, end] as const) : ([0, 0] as const))),
          value,
        )
  return {
    pick: (x) => surround(length === size ? x : cut(x, start, length), before, after, fill),
    back: (dy) => surround(before + after === 0 ? dy : cut(dy, before, length), start, size - start - length, 0),
  }
}

const matrixOf = (size: number, from: Int32Array): Float32Array => {
  const matrix = new Float32Array(from.length * size)
  for (const [o, i] of from.entries()) if (i >= 0) matrix[o * size + i] = 1
  return matrix
}

/** Index o of the result is `Σ_i matrix[o, i] · x[i]` along the axis; the matrix has `rows` rows. */
export const mapping = (k: DeviceOps, axis: number, columns: number, rows: number, matrix: Float32Array): Picking => {
  const apply = (x: Tensor, transposed: boolean, size: number): Tensor => {
    const outer = x.shape.slice(0, axis).reduce((n, d) => n * d, 1)
    const inner = x.shape.slice(axis + 1).reduce((n, d) => n * d, 1)
    const m = k.tensor(matrix, [1, rows, columns])
    const y = k.matMul(m, k.reshape(x, [outer, x.shape[axis] ?? 1, inner]), transposed, false)
    return k.reshape(y, along(x, axis, size))
  }
  return { pick: (x) => apply(x, false, rows), back: (dy) => apply(dy, true, columns) }
}
