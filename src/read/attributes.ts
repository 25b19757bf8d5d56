/** AttributeProto to attribute. */
import { type DescField, isFieldSet } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import type { RawAttribute, RawAttributes } from '../ir/attributes.ts'
import { type AttributeProto, AttributeProto_AttributeType as Type, AttributeProtoSchema } from '../onnx/onnx_pb.ts'
import type { ReadError } from './error.ts'
import type { ExternalReader } from './external.ts'
import { readTensor } from './tensor.ts'

const { field } = AttributeProtoSchema

/** The field that holds the value of an attribute of each type. */
const valueFields: ReadonlyMap<number, DescField> = new Map<number, DescField>([
  [Type.FLOAT, field.f],
  [Type.INT, field.i],
  [Type.STRING, field.s],
  [Type.TENSOR, field.t],
  [Type.GRAPH, field.g],
  [Type.SPARSE_TENSOR, field.sparseTensor],
  [Type.TYPE_PROTO, field.tp],
  [Type.FLOATS, field.floats],
  [Type.INTS, field.ints],
  [Type.STRINGS, field.strings],
  [Type.TENSORS, field.tensors],
  [Type.GRAPHS, field.graphs],
  [Type.SPARSE_TENSORS, field.sparseTensors],
  [Type.TYPE_PROTOS, field.typeProtos],
])

/** Fields of an attribute that the IR models; others (a doc string) stay with the node. */
export const modelledAttributeFields = [field.type, ...valueFields.values()]

const textOf = (bytes: Uint8Array): string | undefined => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** An attribute's value, or as a string why the IR cannot represent it. */
const readAttribute = (
  proto: AttributeProto,
  subject: string,
  external: ExternalReader | undefined,
): E.Either<ReadError, RawAttribute | string> => {
  const opaque = (what: string): E.Either<ReadError, string> => E.right(`attribute ${proto.name} ${what}`)
  if (proto.refAttrName !== '') return opaque('refers to an attribute of a function')
  const set = [...valueFields].filter(([, one]) => isFieldSet(proto, one))
  const [only] = set
  // Files of IR version 1 state no type.
  const type = proto.type === Type.UNDEFINED ? only?.[0] : proto.type
  if (set.length > 1 || (only !== undefined && only[0] !== type)) return opaque('holds values of several types')
  switch (type) {
    case Type.FLOAT:
      return E.right({ kind: 'float', value: proto.f })
    case Type.INT:
      return E.right({ kind: 'int', value: proto.i })
    case Type.FLOATS:
      return E.right({ kind: 'floats', value: proto.floats })
    case Type.INTS:
      return E.right({ kind: 'ints', value: proto.ints })
    case Type.STRING: {
      const value = textOf(proto.s)
      return value === undefined ? opaque('is not UTF-8') : E.right({ kind: 'string', value })
    }
    case Type.STRINGS: {
      const value: string[] = []
      for (const bytes of proto.strings) {
        const text = textOf(bytes)
        if (text === undefined) return opaque('is not UTF-8')
        value.push(text)
      }
      return E.right({ kind: 'strings', value })
    }
    case Type.TENSOR: {
      if (proto.t === undefined) return opaque('has no value')
      const value = readTensor(proto.t, `${subject}, attribute ${proto.name}`, external)
      return E.isLeft(value) ? value : E.right({ kind: 'tensor', value: value.right })
    }
    default:
      return opaque('has a type that is not modelled')
  }
}

/**
 * The attributes of the node `subject` by name, or as a string why the IR cannot represent one of them. Only a tensor
 * whose data is wrong is an error.
 */
export const readAttributes = (
  protos: ReadonlyArray<AttributeProto>,
  subject: string,
  external: ExternalReader | undefined,
): E.Either<ReadError, RawAttributes | string> => {
  const out = new Map<string, RawAttribute>()
  for (const proto of protos) {
    if (out.has(proto.name)) return E.right(`attribute ${proto.name} is given twice`)
    const value = readAttribute(proto, subject, external)
    if (E.isLeft(value)) return value
    if (typeof value.right === 'string') return E.right(value.right)
    out.set(proto.name, value.right)
  }
  return E.right(out)
}
