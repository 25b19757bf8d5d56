/**
 * A ModelProto to bytes without a copy of its tensors. protobuf's own encoder copies a field once for every message around
 * it, which for weights is three times. Fields stand in another order than by number, which protobuf allows: the graph
 * after the rest of the model, initializers after the rest of the graph, raw data after the rest of its tensor.
 */
import { clearField } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { sizeInBytes, type Tensor } from '../ir/tensor.ts'
import { encode } from '../onnx/codec.ts'
import {
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  type TensorProto,
  TensorProtoSchema,
} from '../onnx/onnx_pb.ts'
import { rawChunks } from './tensor.ts'

/** A sequence of bytes, made piece by piece while it is written. */
export interface Pieces {
  readonly length: number
  readonly chunks: () => Iterable<Uint8Array>
}

/** Bytes, and tensors that stand for theirs. */
type Part = Uint8Array | Tensor

/** Parts one after another. */
interface Parts {
  readonly parts: ReadonlyArray<Part>
  readonly length: number
}

/** Smaller parts are joined to chunks of about this many bytes: a model of many nodes has very many of them. */
const chunkBytes = 2 ** 16

function* chunksOf(parts: Iterable<Part>): Iterable<Uint8Array> {
  let waiting: Uint8Array[] = []
  let length = 0
  const joined = (): Uint8Array => {
    const out = new Uint8Array(length)
    let at = 0
    for (const chunk of waiting) {
      out.set(chunk, at)
      at += chunk.byteLength
    }
    waiting = []
    length = 0
    return out
  }
  for (const part of parts) {
    for (const bytes of part instanceof Uint8Array ? [part] : rawChunks(part)) {
      if (length > 0 && length + bytes.byteLength > chunkBytes) yield joined()
      if (bytes.byteLength > chunkBytes) yield bytes
      else {
        waiting.push(bytes)
        length += bytes.byteLength
      }
    }
  }
  if (length > 0) yield joined()
}

const join = (all: ReadonlyArray<Parts>): Parts => ({
  parts: all.flatMap(({ parts }) => parts),
  length: all.reduce((sum, { length }) => sum + length, 0),
})

const part = (bytes: Uint8Array): Parts => ({ parts: [bytes], length: bytes.byteLength })

/** A length-delimited field. */
const field = (number: number, content: Parts): Parts =>
  join([part(new BinaryWriter().tag(number, WireType.LengthDelimited).uint32(content.length).finish()), content])

const tensorParts = (proto: TensorProto, tensor: Tensor | undefined): Parts => {
  const head = part(encode(TensorProtoSchema, proto))
  if (tensor === undefined || sizeInBytes(tensor) === 0) return head
  return join([head, field(TensorProtoSchema.field.rawData.number, { parts: [tensor], length: sizeInBytes(tensor) })])
}

/**
 * The bytes of `model` in pieces; it is taken apart on the way and not to be used afterwards. `contents` has the initializers
 * whose elements are still to be put into them, as raw data.
 */
export const assemble = (model: ModelProto, contents: ReadonlyMap<TensorProto, Tensor>): Pieces => {
  const { parts, length } = modelParts(model, contents)
  return { length, chunks: () => chunksOf(parts) }
}

const modelParts = (model: ModelProto, contents: ReadonlyMap<TensorProto, Tensor>): Parts => {
  const { graph } = model
  if (graph === undefined) return part(encode(ModelProtoSchema, model))
  const initializers = graph.initializer.map((proto) =>
    field(GraphProtoSchema.field.initializer.number, tensorParts(proto, contents.get(proto))),
  )
  graph.initializer = []
  const body = join([part(encode(GraphProtoSchema, graph)), ...initializers])
  clearField(model, ModelProtoSchema.field.graph)
  return join([part(encode(ModelProtoSchema, model)), field(ModelProtoSchema.field.graph.number, body)])
}

/** The pieces as one array. */
export const concatenate = ({ chunks, length }: Pieces): Uint8Array => {
  const out = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks()) {
    out.set(chunk, at)
    at += chunk.byteLength
  }
  return out
}
