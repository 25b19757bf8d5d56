/**
 * The .npy format of numpy: a magic string, a version, the header's length, the header (a Python dictionary of element
 * type, order and shape), and the elements.
 * Format: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html
 */
import * as E from 'fp-ts/lib/Either.js'
import { byteLength, type DType } from '../ir/dtype.ts'
import { move, stridesOf } from '../ir/evaluate.ts'
import { invariant } from '../ir/failure.ts'
import { dense, type Dense } from '../ir/tensor.ts'
import { countOf, tensorFileError, type TensorFileError } from './file-entry.ts'

/** numpy's own limit on the header. */
const headerLimit = 10_000

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] as const

export const looksLikeNpy = (bytes: Uint8Array): boolean => magic.every((b, i) => bytes[i] === b)

/** Element types by numpy's codes without the byte order. */
export const numpyTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['b1', 'bool'],
  ['?', 'bool'],
  ['u1', 'uint8'],
  ['i1', 'int8'],
  ['u2', 'uint16'],
  ['i2', 'int16'],
  ['f2', 'float16'],
  ['u4', 'uint32'],
  ['i4', 'int32'],
  ['f4', 'float32'],
  ['u8', 'uint64'],
  ['i8', 'int64'],
  ['f8', 'float64'],
])

/**
 * The array of a .npy file, in row-major order and little-endian: Fortran order and big-endian elements are converted.
 * `subject` names the file in errors. Arrays of objects are refused: reading them would run what the file says.
 */
export const decodeNpy = (bytes: Uint8Array, subject: string): E.Either<TensorFileError, Dense> => {
  const broken = (expected: string, found: string): E.Either<TensorFileError, never> =>
    E.left(
      tensorFileError(subject, expected, found, 'The array is damaged; save it again with numpy.save or numpy.savez.'),
    )
  if (!looksLikeNpy(bytes)) return broken('a numpy array', 'another kind of data')
  const [version = 0, minor = 0] = bytes.subarray(6, 8)
  if (version < 1 || version > 3 || minor !== 0) return broken('format version 1.0, 2.0 or 3.0', `${version}.${minor}`)
  const prefix = version === 1 ? 10 : 12
  if (bytes.length < prefix) return broken(`${prefix} bytes before the header`, `${bytes.length}`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const length = version === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  if (length > headerLimit) return broken(`a header of at most ${headerLimit} bytes`, `${length}`)
  const start = prefix + length
  if (start > bytes.length) return broken(`a header of ${length} bytes`, `${bytes.length - prefix}`)
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(prefix, start)))
  if (typeof header === 'string') return broken('a header of descr, fortran_order and shape', header)
  const [order = '', code = ''] = /^([<>|=]?)(.*)$/.exec(header.descr)?.slice(1) ?? []
  if (code.startsWith('O')) {
    return E.left(
      tensorFileError(
        subject,
        'an array of numbers',
        'pickled Python objects',
        'Save a plain array, for example with .astype(bool).',
      ),
    )
  }
  const dtype = numpyTypes.get(code)
  if (dtype === undefined) return broken(`an element type of ${[...numpyTypes.keys()].join(', ')}`, header.descr)
  const count = countOf(header.shape)
  if (count === undefined) return broken('fewer than 2^53 elements', `shape [${header.shape.join(',')}]`)
  const data = bytes.subarray(start)
  const size = byteLength(dtype, count)
  if (data.length !== size)
    return broken(`${size} bytes for ${header.descr} [${header.shape.join(',')}]`, `${data.length}`)
  const little = order === '>' ? swapped(data, byteLength(dtype, 1)) : data
  if (!header.fortran || header.shape.length < 2) return E.right(dense(dtype, header.shape, little))
  return E.right(rowMajor(dtype, header.shape, little))
}

interface Header {
  readonly descr: string
  readonly fortran: boolean
  readonly shape: ReadonlyArray<number>
}

/** The header, or what is wrong with it. */
const parseHeader = (text: string): Header | string => {
  const body = /^\{([^]*)\}\s*$/.exec(text)?.[1]
  if (body === undefined) return 'no dictionary'
  const fields = new Map<string, string>()
  const field = /\s*'(\w+)'\s*:\s*('[^']*'|True|False|\([\d\s,]*\))\s*(?:,\s*|$)/y
  while (field.lastIndex < body.length) {
    const at = field.lastIndex
    const [, key = '', value = ''] = field.exec(body) ?? []
    if (key === '') return `the entry ${body.slice(at, at + 40).trim()}`
    if (fields.has(key)) return `${key} twice`
    fields.set(key, value)
  }
  const [descr, order, shape] = [fields.get('descr'), fields.get('fortran_order'), fields.get('shape')]
  if (fields.size !== 3 || !descr?.startsWith("'") || !shape?.startsWith('(')) return text.trim().slice(0, 80)
  if (order !== 'True' && order !== 'False') return text.trim().slice(0, 80)
  const sizes = shape.slice(1, -1).trim()
  if (!/^(|\d+\s*,|\d+(\s*,\s*\d+)+\s*,?)$/.test(sizes)) return `shape ${shape}`
  return {
    descr: descr.slice(1, -1),
    fortran: order === 'True',
    shape: sizes.split(',').flatMap((d) => (d.trim() === '' ? [] : [Number(d)])),
  }
}

/** Elements of `width` bytes in the other byte order. */
export const swapped = (bytes: Uint8Array, width: number): Uint8Array => {
  const out = new Uint8Array(bytes.length)
  for (let start = 0; start < bytes.length; start += width) {
    for (let b = 0; b < width; b++) out[start + b] = bytes[start + width - 1 - b] ?? 0
  }
  return out
}

/** Elements stored with the first axis varying fastest, rearranged so that the last one does. */
export const rowMajor = (dtype: DType, shape: ReadonlyArray<number>, bytes: Uint8Array): Dense => {
  const strides = stridesOf(shape.toReversed()).toReversed()
  const moved = move(dense(dtype, shape, bytes), shape, (index) =>
    index.reduce((at, i, axis) => at + i * (strides[axis] ?? 0), 0),
  )
  invariant(moved !== undefined, `Fortran order of ${dtype}`)
  return moved
}
