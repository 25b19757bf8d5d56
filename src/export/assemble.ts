/**
 * A ModelProto to bytes without a copy of its tensors. protobuf's own encoder copies a field once for every message around
 * it, which for weights is three times. Fields stand in another order than by number, which protobuf allows: the graph
 * after the rest of the model, initializers after the rest of the graph, raw data after the rest of its tensor.
 */
import { clearField } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { encode } from '../onnx/codec.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../onnx/onnx_pb.ts'

/** A sequence of bytes in pieces. */
export interface Pieces {
  readonly chunks: ReadonlyArray<Uint8Array>
  readonly length: number
}

const join = (parts: ReadonlyArray<Pieces>): Pieces => ({
  chunks: parts.flatMap((part) => part.chunks),
  length: parts.reduce((sum, part) => sum + part.length, 0),
})

const piece = (bytes: Uint8Array): Pieces => ({ chunks: [bytes], length: bytes.byteLength })

/** A length-delimited field. */
const field = (number: number, content: Pieces): Pieces =>
  join([piece(new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(content.length).finish()), content])

const tensorPieces = (tensor: TensorProto): Pieces => {
  const raw = tensor.rawData
  if (raw.byteLength === 0) return piece(encode(TensorProtoSchema, tensor))
  clearField(tensor, TensorProtoSchema.field.rawData)
  return join([piece(encode(TensorProtoSchema, tensor)), field(TensorProtoSchema.field.rawData.number, piece(raw))])
}

/** The bytes of `model` in pieces; it is taken apart on the way and not to be used afterwards. */
export const assemble = (model: ModelProto): Pieces => {
  const { graph } = model
  if (graph === undefined) return piece(encode(ModelProtoSchema, model))
  const initializers = graph.initializer.map((tensor) =>
    field(GraphProtoSchema.field.initializer.number, tensorPieces(tensor)),
  )
  graph.initializer = []
  const body = join([piece(encode(GraphProtoSchema, graph)), ...initializers])
  clearField(model, ModelProtoSchema.field.graph)
  return join([piece(encode(ModelProtoSchema, model)), field(ModelProtoSchema.field.graph.number, body)])
}

/** The pieces as one array. */
export const concatenate = ({ chunks, length }: Pieces): Uint8Array => {
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.byteLength
  }
  return out
}
