/** The memory that tensors of a checkpoint are views of, and the types that PyTorch has names for. */
import * as E from 'fp-ts/lib/Either.js'
import { byteLength, type DType } from '../../ir/dtype.ts'
import { tensorFileError, type TensorFileError } from '../file-entry.ts'
import { isTagged, itemsOf, nameOf, type Persistent, type Value } from './value.ts'

/** Memory of a checkpoint. */
export interface Storage {
  /** Its name in the file. */
  readonly key: string
  /** In bytes, as the file has it: checked before any tensor is made of it. */
  readonly size: number
  /** The element type that its class stands for; absent where tensors say it themselves. */
  readonly dtype: DType | undefined
  readonly bigEndian: boolean
  readonly bytes: () => E.Either<TensorFileError, Uint8Array>
}

/** Why there is no tensor: one sentence for the notes. */
export interface Skipped {
  readonly skipped: string
}

/** Finds the memory that a pickle refers to. */
export type Storages = (reference: Reference) => E.Either<TensorFileError, Storage | Skipped>

export const damaged = (subject: string, expected: string, found: string): E.Either<TensorFileError, never> =>
  E.left(tensorFileError(subject, expected, found, 'The file is damaged or incomplete; save it again.'))

const classes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['Float', 'float32'],
  ['Double', 'float64'],
  ['Half', 'float16'],
  ['BFloat16', 'bfloat16'],
  ['Byte', 'uint8'],
  ['Char', 'int8'],
  ['Short', 'int16'],
  ['Int', 'int32'],
  ['Long', 'int64'],
  ['Bool', 'bool'],
  ['ComplexFloat', 'complex64'],
  ['ComplexDouble', 'complex128'],
])

/** Classes of memory whose elements are no numbers by themselves, and the bytes each takes. */
const quantized: ReadonlyMap<string, number> = new Map([
  ['QInt8', 1],
  ['QUInt8', 1],
  ['QInt32', 4],
  ['QUInt4x2', 1],
  ['QUInt2x4', 1],
])

/** PyTorch's element types by their names, of https://docs.pytorch.org/docs/stable/tensor_attributes.html. */
const torchTypes: ReadonlyMap<string, DType> = new Map<string, DType>([
  ['float32', 'float32'],
  ['float', 'float32'],
  ['float64', 'float64'],
  ['double', 'float64'],
  ['float16', 'float16'],
  ['half', 'float16'],
  ['bfloat16', 'bfloat16'],
  ['float8_e4m3fn', 'float8e4m3fn'],
  ['float8_e4m3fnuz', 'float8e4m3fnuz'],
  ['float8_e5m2', 'float8e5m2'],
  ['float8_e5m2fnuz', 'float8e5m2fnuz'],
  ['float8_e8m0fnu', 'float8e8m0'],
  ['uint8', 'uint8'],
  ['int8', 'int8'],
  ['uint16', 'uint16'],
  ['int16', 'int16'],
  ['short', 'int16'],
  ['uint32', 'uint32'],
  ['int32', 'int32'],
  ['int', 'int32'],
  ['uint64', 'uint64'],
  ['int64', 'int64'],
  ['long', 'int64'],
  ['bool', 'bool'],
  ['complex64', 'complex64'],
  ['cfloat', 'complex64'],
  ['complex128', 'complex128'],
  ['cdouble', 'complex128'],
])

/** The element type that a value names as `torch.NAME`. */
export const torchType = (value: Value | undefined): DType | undefined => {
  const [module, name = '', ...others] = nameOf(value).split('.')
  return module === 'torch' && others.length === 0 ? torchTypes.get(name) : undefined
}

/** What a pickle says of memory kept outside of it. */
export interface Reference {
  readonly key: string
  /** The element type of its class; absent for bytes, and where the elements are no numbers. */
  readonly dtype: DType | undefined
  /** Bytes of an element. */
  readonly width: number
  readonly count: number
  /** Where it begins in the memory of that key, in elements, if it is a part of it. */
  readonly part: { readonly start: number; readonly count: number } | undefined
}

const asCount = (value: Value | undefined): number | undefined =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/**
 * Reads a persistent id of PyTorch: `('storage', class, key, device, count)`, in legacy files with one item more, the
 * part `(key, start, count)` or none. Undefined where it is something else.
 */
export const referenceOf = ({ id }: Persistent): Reference | Skipped | undefined => {
  const [kind, type, key, device, size, part] = itemsOf(id) ?? []
  if (kind !== 'storage' || (typeof key !== 'string' && typeof key !== 'number')) return undefined
  const [, name] = /^torch(?:\.cuda|\.storage)?\.(?:(\w+)Storage|Tensor)$/.exec(nameOf(type)) ?? []
  const count = asCount(size)
  if (name === undefined || count === undefined) return undefined
  if (device === 'meta') return { skipped: 'Tensors on the meta device, which hold no numbers, were passed over.' }
  const dtype = classes.get(name)
  const width = dtype === undefined ? (name === 'Untyped' ? 1 : quantized.get(name)) : byteLength(dtype, 1)
  if (width === undefined) return { skipped: `Tensors in memory of class torch.${name}Storage were passed over.` }
  const reference = { key: String(key), dtype, width, count }
  if (part === undefined || part === null) return { ...reference, part: undefined }
  const [, start, length] = itemsOf(part)?.map(asCount) ?? []
  return start === undefined || length === undefined ? undefined : { ...reference, part: { start, count: length } }
}

/** The part of `whole` that starts at byte `start`. */
export const partOf = (whole: Storage, start: number, size: number): Storage => ({
  ...whole,
  key: `${whole.key}+${start}`,
  size,
  bytes: () => E.map((bytes: Uint8Array) => bytes.subarray(start, start + size))(whole.bytes()),
})

export const isSkipped = (x: object): x is Skipped => 'skipped' in x

/** Sizes, strides or offsets: whole numbers from 0 on. */
export const countsOf = (value: Value | undefined): ReadonlyArray<number> | undefined => {
  // torch.Size is made of a tuple.
  const inner =
    isTagged(value) && value.tag === 'made' && nameOf(value.callee) === 'torch.Size' ? value.args : undefined
  const items = itemsOf(inner === undefined ? value : itemsOf(inner)?.[0])
  if (items === undefined || items.length > rankLimit) return undefined
  const counts: number[] = []
  for (const item of items) {
    const count = asCount(item)
    if (count === undefined) return undefined
    counts.push(count)
  }
  return counts
}

/** More axes than any tensor of a network has. */
const rankLimit = 32
