import { create } from '@bufbuild/protobuf'
import type { ValueType } from '../ir/type.ts'
import { type ValueInfoProto, ValueInfoProtoSchema } from './onnx_pb.ts'
import { writeType } from './types.ts'

/** The plainest ValueInfoProto of a value of this name and type. */
export const createValueInfo = (name: string, type: ValueType): ValueInfoProto => {
  const proto = create(ValueInfoProtoSchema, { name })
  const written = writeType(type)
  if (written !== undefined) proto.type = written
  return proto
}
