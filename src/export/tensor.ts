/** Tensor to TensorProto, and to bytes of an external file. */
import { create } from '@bufbuild/protobuf'
import { byteLength } from '../ir/dtype.ts'
import { materialize, type Tensor } from '../ir/tensor.ts'
import { sizeOf } from '../ir/type.ts'
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../onnx/onnx_pb.ts'
import { codeOf } from '../onnx/types.ts'
import { restore } from './restore.ts'

/** How much of an external tensor is in memory at once. */
const chunkBytes = 2 ** 26

/** Bytes of a tensor's elements; 0 for strings, which are never written as raw bytes. */
export const sizeInBytes = (tensor: Tensor): number => byteLength(tensor.dtype, sizeOf(tensor.shape))

const header = (name: string, tensor: Tensor): TensorProto => {
  const proto = restore(TensorProtoSchema, tensor.meta)
  proto.dims = tensor.shape.map(BigInt)
  proto.dataType = codeOf(tensor.dtype)
  if (name !== '') proto.name = name
  return proto
}

/** A tensor with its elements in the message: strings in string_data, all else in raw_data. Empty ones hold no data. */
export const writeTensor = (name: string, tensor: Tensor): TensorProto => {
  const proto = header(name, tensor)
  const { bytes, strings } = materialize(tensor)
  if (strings !== undefined) proto.stringData = [...strings]
  else if (bytes.byteLength > 0) proto.rawData = bytes
  return proto
}

/** A tensor whose elements are at `offset` of the file `location` beside the model. */
export const writeExternalTensor = (name: string, tensor: Tensor, location: string, offset: number): TensorProto => {
  const proto = header(name, tensor)
  const entries = { location, offset: String(offset), length: String(sizeInBytes(tensor)) }
  proto.externalData = Object.entries(entries).map(([key, value]) =>
    create(StringStringEntryProtoSchema, { key, value }),
  )
  proto.dataLocation = TensorProto_DataLocation.EXTERNAL
  return proto
}

/** A tensor's raw bytes piece by piece. Nothing is kept: a gather is computed again by whoever needs it next. */
export function* rawChunks(tensor: Tensor): Iterable<Uint8Array> {
  if (tensor.tag !== 'External') {
    yield materialize({ ...tensor }).bytes
    return
  }
  for (let at = 0; at < tensor.length; at += chunkBytes) {
    yield tensor.read(tensor.offset + at, Math.min(chunkBytes, tensor.length - at))
  }
}
