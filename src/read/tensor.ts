/** TensorProto to tensor, whichever of its fields holds the elements. */
import { isFieldSet } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { bitsOf, byteLength, type DType } from '../ir/dtype.ts'
import { dense, type Tensor } from '../ir/tensor.ts'
import { remainder } from '../onnx/codec.ts'
import { type TensorProto, TensorProto_DataLocation, TensorProtoSchema } from '../onnx/onnx_pb.ts'
import { dtypeOf } from '../onnx/types.ts'
import { type ReadError, readError } from './error.ts'
import { type ExternalReader, externalRange } from './external.ts'

const { field } = TensorProtoSchema

/** What the IR models of a tensor; the rest is its `meta`. */
const modelled = [
  field.dims,
  field.dataType,
  field.name,
  field.floatData,
  field.int32Data,
  field.stringData,
  field.int64Data,
  field.rawData,
  field.externalData,
  field.dataLocation,
  field.doubleData,
  field.uint64Data,
]

const invalid = (subject: string, expected: string, found: string): ReadError =>
  readError('tensor-data-invalid', subject, expected, found)

/**
 * The tensor that `proto` holds. Raw bytes stay views of the file; typed fields are converted to the same bytes. Errors
 * name `subject`, and say how many bytes its type asks for and how many there are.
 */
export const readTensor = (
  proto: TensorProto,
  subject: string,
  external: ExternalReader | undefined,
): E.Either<ReadError, Tensor> => {
  const dtype = dtypeOf(proto.dataType)
  if (dtype === undefined) return E.left(invalid(subject, 'an element type of ONNX', `data_type ${proto.dataType}`))
  if (isFieldSet(proto, field.segment)) return E.left(invalid(subject, 'a whole tensor', 'a segment of one'))
  const shape: number[] = []
  let count = 1
  for (const dim of proto.dims) {
    if (dim < 0n) return E.left(invalid(subject, 'sizes of zero or more', `size ${dim}`))
    shape.push(Number(dim))
    count *= Number(dim)
  }
  if (!shape.every(Number.isSafeInteger) || !Number.isSafeInteger(count * 16)) {
    return E.left(invalid(subject, 'fewer than 2^49 elements', `shape [${proto.dims.join(',')}]`))
  }
  const content = { dtype, shape, count, meta: remainder(TensorProtoSchema, proto, modelled) }
  return proto.dataLocation === TensorProto_DataLocation.EXTERNAL
    ? readExternal(proto, content, subject, external)
    : readInline(proto, content, subject)
}

interface Content {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  readonly count: number
  readonly meta: Uint8Array | undefined
}

const typeOf = ({ dtype, shape }: Content): string => `${dtype}[${shape.join(',')}]`

const readExternal = (
  proto: TensorProto,
  content: Content,
  subject: string,
  external: ExternalReader | undefined,
): E.Either<ReadError, Tensor> => {
  const { dtype, shape, count, meta } = content
  if (dtype === 'string') return E.left(invalid(subject, 'strings in the model file', 'strings in an external file'))
  const range = externalRange(proto, subject)
  if (E.isLeft(range)) return range
  const { location, offset } = range.right
  const length = byteLength(dtype, count)
  if (range.right.length !== undefined && range.right.length !== length) {
    const found = `${range.right.length} bytes of external data`
    return E.left(invalid(subject, `${length} bytes for ${typeOf(content)}`, found))
  }
  const file = external?.(location)
  if (file === undefined) {
    const help = 'Keep the file beside the model and read the model by its path.'
    return E.left(readError('external-data-file-missing', `${subject}, file ${location}`, 'a file', 'none', help))
  }
  if ('_tag' in file) return E.left(file)
  if (offset + length > file.size) {
    const expected = `${length} bytes at offset ${offset} of ${location}`
    return E.left(readError('external-data-invalid', subject, expected, `a file of ${file.size} bytes`))
  }
  const { read } = file
  return E.right({ tag: 'External', dtype, shape, location, offset, length, read, ...(meta && { meta }) })
}

const readInline = (proto: TensorProto, content: Content, subject: string): E.Either<ReadError, Tensor> => {
  const { dtype, shape, count, meta } = content
  const fields = [
    field.floatData,
    field.int32Data,
    field.stringData,
    field.int64Data,
    field.doubleData,
    field.uint64Data,
  ].filter((one) => isFieldSet(proto, one))
  const names = [...fields.map((one) => one.name), ...(proto.rawData.byteLength > 0 ? ['raw_data'] : [])]
  if (names.length > 1) return E.left(invalid(subject, 'elements in one field', names.join(' and ')))
  if (dtype === 'string') {
    if (proto.stringData.length !== count || proto.rawData.byteLength > 0) {
      return E.left(invalid(subject, `${count} strings in string_data`, foundIn(proto, names[0])))
    }
    const strings = proto.stringData
    return E.right({ tag: 'Dense', dtype, shape, bytes: new Uint8Array(), strings, ...(meta && { meta }) })
  }
  const bytes = fields.length > 0 ? typedBytes(proto, dtype, names[0]) : proto.rawData
  const length = byteLength(dtype, count)
  if (bytes?.byteLength !== length) {
    return E.left(invalid(subject, `${length} bytes for ${typeOf(content)}`, foundIn(proto, names[0], bytes)))
  }
  return E.right(dense(dtype, shape, bytes, meta))
}

const foundIn = (proto: TensorProto, name: string | undefined, bytes?: Uint8Array): string => {
  if (name === undefined) return 'no data'
  if (bytes !== undefined) return `${bytes.byteLength} bytes in ${name}`
  return name === 'string_data' ? `${proto.stringData.length} strings` : `its elements in ${name}`
}

/** Little-endian bytes of the elements in a typed field; undefined where the field is not one for this type. */
const typedBytes = (proto: TensorProto, dtype: DType, name: string | undefined): Uint8Array | undefined => {
  const bytesOf = (array: { readonly buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(array.buffer)
  switch (name) {
    case 'float_data':
      return dtype === 'float32' || dtype === 'complex64' ? bytesOf(Float32Array.from(proto.floatData)) : undefined
    case 'double_data':
      return dtype === 'float64' || dtype === 'complex128' ? bytesOf(Float64Array.from(proto.doubleData)) : undefined
    case 'int64_data':
      return dtype === 'int64' ? bytesOf(BigInt64Array.from(proto.int64Data)) : undefined
    case 'uint64_data':
      if (dtype === 'uint64') return bytesOf(BigUint64Array.from(proto.uint64Data))
      return dtype === 'uint32' ? bytesOf(Uint32Array.from(proto.uint64Data, Number)) : undefined
    case 'int32_data':
      return int32Bytes(proto.int32Data, dtype)
    default:
      return undefined
  }
}

/** Types of up to 32 bits; an entry holds the bits of one element, or a byte of packed ones. */
const int32Bytes = (entries: ReadonlyArray<number>, dtype: DType): Uint8Array | undefined => {
  if (dtype === 'float32' || dtype === 'uint32' || dtype === 'string') return undefined
  if (dtype === 'bool') return Uint8Array.from(entries, (x) => (x === 0 ? 0 : 1))
  const bits = bitsOf(dtype)
  if (bits <= 8) return Uint8Array.from(entries)
  if (bits === 16) return new Uint8Array(Uint16Array.from(entries).buffer)
  return bits === 32 ? new Uint8Array(Int32Array.from(entries).buffer) : undefined
}
