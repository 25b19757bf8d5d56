/**
 * numpy's arrays in pickles: `numpy.core.multiarray._reconstruct` and a state (version, shape, type, Fortran order, data),
 * or since protocol 5 `numpy.core.numeric._frombuffer` of data, type, shape and order.
 * Source: https://github.com/numpy/numpy/blob/main/numpy/_core/src/multiarray/methods.c (array_reduce)
 */
import * as E from 'fp-ts/lib/Either.js'
import { byteLength, type DType } from '../../ir/dtype.ts'
import { dense, type Dense } from '../../ir/tensor.ts'
import { countOf, type TensorFileError } from '../file-entry.ts'
import { numpyTypes, rowMajor, swapped } from '../npy.ts'
import { dataOf } from './data.ts'
import type { Found } from './found.ts'
import { countsOf, damaged, type Skipped } from './storage.ts'
import { isMade, itemsOf, type Made, nameOf, type Value } from './value.ts'

const skipped = { skipped: 'Arrays of numpy whose elements are no plain numbers were passed over.' }

/** The array that `made` is, or undefined where it is none. */
export const arrayOf = (made: Made, subject: string): E.Either<TensorFileError, Found | Skipped> | undefined => {
  const name = nameOf(made.callee)
  if (name === 'numpy.core.multiarray._reconstruct') {
    const [, shape, type, fortran, data] = itemsOf(made.state) ?? []
    return arrayFrom(shape, type, fortran === true || fortran === 1, data, subject)
  }
  if (name === 'numpy.core.numeric._frombuffer') {
    const [data, type, shape, order] = itemsOf(made.args) ?? []
    return arrayFrom(shape, type, order === 'F', data, subject)
  }
  return undefined
}

const arrayFrom = (
  sizes: Value | undefined,
  type: Value | undefined,
  fortran: boolean,
  data: Value | undefined,
  subject: string,
): E.Either<TensorFileError, Found | Skipped> => {
  const shape = countsOf(sizes)
  const count = shape && countOf(shape)
  if (shape === undefined || count === undefined) return damaged(subject, 'a shape of whole numbers', 'something else')
  const element = elementOf(type)
  if (element === undefined) return E.right(skipped)
  const read = dataOf(data)
  if (read === undefined) return E.right(skipped)
  const { dtype, bigEndian } = element
  const size = byteLength(dtype, count)
  // The longest text for n bytes is of 2n: refused before anything is decoded.
  if (read.least > size || read.most < size) {
    return damaged(subject, `${size} bytes for ${dtype}[${shape.join(',')}]`, `${read.most}`)
  }
  const decode = (): E.Either<TensorFileError, Dense> => {
    const bytes = read.bytes()
    if (bytes?.length !== size) {
      return damaged(subject, `${size} bytes for ${dtype}[${shape.join(',')}]`, `${bytes?.length ?? 'a text'}`)
    }
    const little = bigEndian ? swapped(bytes, byteLength(dtype, 1)) : bytes
    return E.right(fortran && shape.length > 1 ? rowMajor(dtype, shape, little) : dense(dtype, shape, little))
  }
  return E.right({ dtype, shape, size, decode })
}

/** A `numpy.dtype`: made of a code, with the byte order in its state. */
const elementOf = (type: Value | undefined): { readonly dtype: DType; readonly bigEndian: boolean } | undefined => {
  if (!isMade(type) || nameOf(type.callee) !== 'numpy.dtype') return undefined
  const [code] = itemsOf(type.args) ?? []
  if (nameOf(code) === 'ml_dtypes.bfloat16') return { dtype: 'bfloat16', bigEndian: false }
  const dtype = typeof code === 'string' ? numpyTypes.get(code) : undefined
  const order = itemsOf(type.state)?.[1]
  return dtype === undefined ? undefined : { dtype, bigEndian: order === '>' }
}
