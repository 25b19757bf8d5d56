/** ONNX's element types and TypeProto to and from the IR's types. */
import { create } from '@bufbuild/protobuf'
import { type DType, dtypes } from '../ir/dtype.ts'
import { type Dim, isAnonymous, tensorType, unknownDim, unknownType, type ValueType } from '../ir/type.ts'
import { decode, encode } from './codec.ts'
import {
  type TensorShapeProto_Dimension,
  TensorShapeProto_DimensionSchema,
  TensorShapeProtoSchema,
  TypeProto_TensorSchema,
  type TypeProto,
  TypeProtoSchema,
} from './onnx_pb.ts'

/** The element type with this number in TensorProto.DataType; undefined for UNDEFINED and numbers ONNX has not given. */
export const dtypeOf = (code: number): DType | undefined => dtypes[code - 1]

/** The number of an element type in TensorProto.DataType. */
export const codeOf = (dtype: DType): number => dtypes.indexOf(dtype) + 1

/** A dimension of value `name`; one that is absent, empty, negative, or beyond 2^53 is an anonymous size. */
const readDim = (dim: TensorShapeProto_Dimension, name: string, axis: number): Dim => {
  if (dim.value.case === 'dimParam') return dim.value.value === '' ? unknownDim(name, axis) : dim.value.value
  const size = dim.value.case === 'dimValue' ? Number(dim.value.value) : -1
  return size >= 0 && Number.isSafeInteger(size) ? size : unknownDim(name, axis)
}

/** The type that a file declares for the value `name`. */
export const readType = (proto: TypeProto | undefined, name: string): ValueType => {
  if (proto === undefined) return unknownType
  const dtype = proto.value.case === 'tensorType' ? dtypeOf(proto.value.value.elemType) : undefined
  if (proto.value.case !== 'tensorType' || dtype === undefined) {
    return { kind: 'other', encoded: encode(TypeProtoSchema, proto) }
  }
  return tensorType(
    dtype,
    proto.value.value.shape?.dim.map((dim, axis) => readDim(dim, name, axis)),
  )
}

const writeDim = (dim: Dim): TensorShapeProto_Dimension =>
  create(
    TensorShapeProto_DimensionSchema,
    typeof dim === 'number'
      ? { value: { case: 'dimValue', value: BigInt(dim) } }
      : isAnonymous(dim)
        ? {}
        : { value: { case: 'dimParam', value: dim } },
  )

/** The TypeProto of a type; undefined when nothing is known. Anonymous sizes are written as dimensions without a value. */
export const writeType = (type: ValueType): TypeProto | undefined => {
  if (type.kind === 'other') {
    if (type.encoded === undefined) return undefined
    const known = decode(TypeProtoSchema, type.encoded)
    return known._tag === 'Right' ? known.right : undefined
  }
  const tensor = create(TypeProto_TensorSchema, { elemType: codeOf(type.dtype) })
  if (type.shape !== undefined) tensor.shape = create(TensorShapeProtoSchema, { dim: type.shape.map(writeDim) })
  return create(TypeProtoSchema, { value: { case: 'tensorType', value: tensor } })
}

/** `declared` with its sizes and element type changed to those of `type`; denotations of dimensions that stay are kept. */
export const retype = (declared: TypeProto, type: ValueType): TypeProto => {
  const next = writeType(type)
  if (next === undefined) return declared
  if (declared.value.case === 'tensorType' && next.value.case === 'tensorType') {
    const dims = declared.value.value.shape?.dim ?? []
    const shape = next.value.value.shape
    if (shape !== undefined && shape.dim.length === dims.length) {
      for (const [axis, dim] of shape.dim.entries()) {
        const denotation = dims[axis]?.denotation
        if (denotation) dim.denotation = denotation
      }
    }
    if (declared.denotation) next.denotation = declared.denotation
  }
  return next
}
