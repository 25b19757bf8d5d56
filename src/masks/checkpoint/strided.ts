/**
 * Tensors as views of memory: a place, sizes and strides, all in elements. Nothing is allocated before all elements are
 * known to lie in the memory; a view without gaps shares the bytes of the file.
 */
import * as E from 'fp-ts/lib/Either.js'
import { byteLength, type DType } from '../../ir/dtype.ts'
import { move } from '../../ir/evaluate.ts'
import { invariant } from '../../ir/failure.ts'
import { dense, type Dense } from '../../ir/tensor.ts'
import { countOf, type TensorFileError } from '../file-entry.ts'
import { swapped } from '../npy.ts'
import { type Found, tooLarge } from './found.ts'
import { damaged, type Skipped, type Storage } from './storage.ts'

export interface View {
  readonly dtype: DType
  readonly offset: number
  readonly shape: ReadonlyArray<number>
  readonly strides: ReadonlyArray<number>
}

/** The tensor that `view` is of `storage`. */
export const viewOf = (storage: Storage, view: View, subject: string): E.Either<TensorFileError, Found | Skipped> => {
  const { dtype, shape, strides } = view
  const count = countOf(shape)
  if (shape.length !== strides.length) return damaged(subject, 'a stride for every axis', textOf(view))
  if (count === undefined) return damaged(subject, 'fewer than 2^53 elements', textOf(view))
  const width = byteLength(dtype, 1)
  const held = Math.floor(storage.size / width)
  if (count > 0 && endOf(view) > held) {
    return damaged(subject, `a view within the ${held} elements of its memory`, textOf(view))
  }
  const size = count * width
  const refused = tooLarge(size, storage.size)
  if (refused !== undefined) return E.right({ skipped: refused })
  return E.right({
    dtype,
    shape,
    size,
    storage: `${storage.key} ${dtype} ${textOf(view)}`,
    decode: () => (count === 0 ? E.right(dense(dtype, shape, new Uint8Array())) : decode(storage, view)),
  })
}

const textOf = ({ shape, strides, offset }: View): string =>
  `[${shape.join(',')}] with strides [${strides.join(',')}] from element ${offset}`

/** One beyond the last element of a view that has some. Where a sum is not exact it is far beyond the end. */
const endOf = ({ offset, shape, strides }: View): number =>
  shape.reduce((at, size, axis) => at + (size - 1) * (strides[axis] ?? 0), offset) + 1

const decode = (storage: Storage, view: View): E.Either<TensorFileError, Dense> => {
  const stored = storage.bytes()
  if (E.isLeft(stored)) return stored
  const { dtype, offset, shape, strides } = view
  const width = byteLength(dtype, 1)
  const span = stored.right.subarray(offset * width, endOf(view) * width)
  const bytes = storage.bigEndian ? swapped(span, swapWidth(dtype)) : span
  if (isContiguous(shape, strides)) return E.right(dense(dtype, shape, bytes))
  const moved = move(dense(dtype, [bytes.length / width], bytes), shape, (index) => {
    let at = 0
    for (let axis = 0; axis < index.length; axis++) at += (index[axis] ?? 0) * (strides[axis] ?? 0)
    return at
  })
  invariant(moved !== undefined, `a view of ${dtype}`)
  return E.right(moved)
}

/** Complex numbers are two reals, each in the byte order of the file. */
const swapWidth = (dtype: DType): number => byteLength(dtype, 1) / (dtype.startsWith('complex') ? 2 : 1)

const isContiguous = (shape: ReadonlyArray<number>, strides: ReadonlyArray<number>): boolean => {
  let expected = 1
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 1
    if (size !== 1 && strides[axis] !== expected) return false
    expected *= size
  }
  return true
}
