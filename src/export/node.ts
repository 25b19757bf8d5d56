/** Node to NodeProto. */
import { create } from '@bufbuild/protobuf'
import type { RawAttribute } from '../ir/attributes.ts'
import { unqualified } from '../ir/domain.ts'
import type { Node } from '../ir/op.ts'
import { Opaque } from '../ir/ops/opaque.ts'
import { encodeAttributes, isOp } from '../ir/registry.ts'
import {
  type AttributeProto,
  AttributeProto_AttributeType as Type,
  AttributeProtoSchema,
  type NodeProto,
  NodeProtoSchema,
} from '../onnx/onnx_pb.ts'
import { restore } from './restore.ts'
import { writeTensor } from './tensor.ts'

const setValue = (proto: AttributeProto, raw: RawAttribute): void => {
  switch (raw.kind) {
    case 'int':
      proto.type = Type.INT
      proto.i = raw.value
      return
    case 'float':
      proto.type = Type.FLOAT
      proto.f = Math.fround(raw.value)
      return
    case 'string':
      proto.type = Type.STRING
      proto.s = new TextEncoder().encode(raw.value)
      return
    case 'ints':
      proto.type = Type.INTS
      proto.ints = [...raw.value]
      return
    case 'floats':
      proto.type = Type.FLOATS
      proto.floats = raw.value.map(Math.fround)
      return
    case 'strings': {
      const encoder = new TextEncoder()
      proto.type = Type.STRINGS
      proto.strings = raw.value.map((text) => encoder.encode(text))
      return
    }
    case 'tensor':
      proto.type = Type.TENSOR
      proto.t = writeTensor('', raw.value)
  }
}

/** The node as the file holds it: an opaque one as it was, its inputs and outputs replaced by the node's. */
export const writeNode = (node: Node): NodeProto => {
  const opaque = isOp(node, Opaque) ? node.attrs : undefined
  const proto = restore(NodeProtoSchema, opaque === undefined ? node.meta : opaque.payload)
  proto.input = [...node.inputs]
  proto.output = [...node.outputs]
  if (opaque !== undefined && opaque.attributes === undefined) return proto
  const { domain, opType } = opaque ?? unqualified(node.op)
  proto.opType = opType
  if (domain !== '') proto.domain = domain
  if (node.name !== '') proto.name = node.name
  const kept = new Map(proto.attribute.map((attribute) => [attribute.name, attribute]))
  proto.attribute = []
  for (const [name, raw] of opaque?.attributes ?? encodeAttributes(node)) {
    const attribute = kept.get(name) ?? create(AttributeProtoSchema, { name })
    setValue(attribute, raw)
    proto.attribute.push(attribute)
  }
  return proto
}
