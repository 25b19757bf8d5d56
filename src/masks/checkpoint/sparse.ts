/**
 * Sparse tensors, made dense: coordinates (COO), and compressed rows (CSR) or columns (CSC) of matrices.
 * Formats: https://docs.pytorch.org/docs/stable/sparse.html
 */
import * as E from 'fp-ts/lib/Either.js'
import { byteLength } from '../../ir/dtype.ts'
import { dense, type Dense, integersOf } from '../../ir/tensor.ts'
import { countOf, tensorFileError, type TensorFileError } from '../file-entry.ts'
import { type Found, tooLarge } from './found.ts'
import { damaged, type Skipped } from './storage.ts'

/** COO: `indices` [sparse axes, n], `values` [n, dense axes]. */
export const fromCoordinates = (
  indices: Found,
  values: Found,
  shape: ReadonlyArray<number>,
  subject: string,
): E.Either<TensorFileError, Found | Skipped> => {
  const [axes, n] = indices.shape
  const inner = shape.slice(axes)
  const fits =
    axes !== undefined &&
    axes > 0 &&
    n !== undefined &&
    indices.shape.length === 2 &&
    indices.dtype === 'int64' &&
    axes <= shape.length &&
    values.shape.length === inner.length + 1 &&
    [n, ...inner].every((size, axis) => values.shape[axis] === size)
  if (!fits) return damaged(subject, 'an index for every value', `[${indices.shape}] and [${values.shape}]`)
  return denseOf(shape, [indices, values], values, subject, function* ([at = []]) {
    for (let i = 0; i < n; i++) {
      let place = 0
      for (let axis = 0; axis < axes; axis++) {
        const index = at[axis * n + i] ?? -1
        const size = shape[axis] ?? 0
        if (index < 0 || index >= size) return yield beyond
        place = place * size + index
      }
      yield place
    }
  })
}

/** CSR: row r has the columns `indices[starts[r]..starts[r+1]]`; CSC the same with rows and columns swapped. */
export const fromCompressed = (
  starts: Found,
  indices: Found,
  values: Found,
  shape: ReadonlyArray<number>,
  byColumns: boolean,
  subject: string,
): E.Either<TensorFileError, Found | Skipped> => {
  const [rows, columns] = shape
  if (rows === undefined || columns === undefined || shape.length !== 2) {
    return E.right({ skipped: 'Compressed sparse tensors that are no matrices were passed over.' })
  }
  const [outer, inner] = byColumns ? [columns, rows] : [rows, columns]
  const [n] = values.shape
  const integers = [starts, indices].every(({ dtype }) => dtype === 'int64' || dtype === 'int32')
  const fits = integers && starts.shape.length === 1 && starts.shape[0] === outer + 1 && values.shape.length === 1
  if (!fits || n === undefined || indices.shape.length !== 1 || indices.shape[0] !== n) {
    return damaged(subject, 'an index for every value', `[${indices.shape}] and [${values.shape}]`)
  }
  return denseOf(shape, [starts, indices, values], values, subject, function* ([start = [], at = []]) {
    if (start[0] !== 0 || start[outer] !== n) return yield beyond
    let next = 0
    for (let row = 0; row < outer; row++) {
      const end = start[row + 1] ?? -1
      if (end < next || end > n) return yield beyond
      for (; next < end; next++) {
        const index = at[next] ?? -1
        if (index < 0 || index >= inner) return yield beyond
        yield byColumns ? index * columns + row : row * columns + index
      }
    }
  })
}

/** Stands for a place outside of the tensor. */
const beyond = -1

/**
 * A dense tensor with the values at `places`, made of the parts before the values, in units of what one value fills.
 * Places may not repeat: PyTorch would add the values up, in an order of its own.
 */
const denseOf = (
  shape: ReadonlyArray<number>,
  parts: ReadonlyArray<Found>,
  values: Found,
  subject: string,
  places: (integers: ReadonlyArray<ReadonlyArray<number>>) => Iterable<number>,
): E.Either<TensorFileError, Found | Skipped> => {
  const count = countOf(shape)
  if (count === undefined) return damaged(subject, 'fewer than 2^53 elements', `shape [${shape.join(',')}]`)
  const { dtype } = values
  const size = byteLength(dtype, count)
  const stored = parts.reduce((sum, part) => sum + part.size, 0)
  const refused = tooLarge(size, stored)
  if (refused !== undefined) return E.right({ skipped: refused })
  const decode = (): E.Either<TensorFileError, Dense> => {
    const decoded: Dense[] = []
    for (const part of parts) {
      const one = part.decode()
      if (E.isLeft(one)) return one
      decoded.push(one.right)
    }
    const filled = decoded.at(-1)?.bytes ?? new Uint8Array()
    const bytes = new Uint8Array(size)
    if (filled.length === 0 || count === 0) return E.right(dense(dtype, shape, bytes))
    const width = filled.length / (values.shape[0] ?? 1)
    const seen = new Uint8Array(count)
    let from = 0
    for (const place of places(decoded.slice(0, -1).map((one) => integersOf(one) ?? []))) {
      if (place === beyond) return damaged(subject, `indices within shape [${shape.join(',')}]`, 'one beyond')
      if (seen[place] === 1) {
        return E.left(
          tensorFileError(subject, 'every index once', 'one twice', 'Save tensor.coalesce(), or tensor.to_dense().'),
        )
      }
      seen[place] = 1
      bytes.set(filled.subarray(from, from + width), place * width)
      from += width
    }
    return E.right(dense(dtype, shape, bytes))
  }
  return E.right({ dtype, shape, size, decode })
}
