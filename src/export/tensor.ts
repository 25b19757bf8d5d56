/** Tensor to TensorProto, and to bytes of an external file. */
import { create } from '@bufbuild/protobuf'
import { materialize, pieces, sizeInBytes, type Tensor } from '../ir/tensor.ts'
import {
  StringStringEntryProtoSchema,
  type TensorProto,
  TensorProto_DataLocation,
  TensorProtoSchema,
} from '../onnx/onnx_pb.ts'
import { codeOf } from '../onnx/types.ts'
import { restore } from './restore.ts'

const header = (name: string, tensor: Tensor): TensorProto => {
  const proto = restore(TensorProtoSchema, tensor.meta)
  proto.dims = tensor.shape.map(BigInt)
  proto.dataType = codeOf(tensor.dtype)
  if (name !== '') proto.name = name
  return proto
}

/** A tensor with its elements in the message: strings in string_data, all else in raw_data. Empty ones hold no data. */
export const writeTensor = (name: string, tensor: Tensor): TensorProto => {
  const proto = writeHeader(name, tensor)
  const { bytes } = materialize(tensor)
  if (bytes.byteLength > 0) proto.rawData = bytes
  return proto
}

/** The same without raw data, which is to follow. */
export const writeHeader = (name: string, tensor: Tensor): TensorProto => {
  const proto = header(name, tensor)
  if (tensor.dtype === 'string') proto.stringData = [...(materialize(tensor).strings ?? [])]
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

/** A tensor's raw bytes piece by piece. Nothing large is kept: it is made again by whoever needs it next. */
export function* rawChunks(tensor: Tensor): Iterable<Uint8Array> {
  for (const { rows } of pieces(tensor)) yield rows.bytes
}
