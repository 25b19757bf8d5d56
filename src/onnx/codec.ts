/** Protobuf messages of ONNX to and from bytes. */
import { create, type DescField, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf'
import { reflect } from '@bufbuild/protobuf/reflect'
import * as E from 'fp-ts/lib/Either.js'

/** Messages nested deeper than this are refused, as protobuf's C++ library, and so ONNX Runtime, refuses them. */
export const nestingLimit = 100

/**
 * The message that `bytes` encode, or why they encode none. Byte fields (raw_data) are views of `bytes`; unknown fields
 * are kept and written again by {@link encode}.
 */
export const decode = <Desc extends DescMessage>(
  schema: Desc,
  bytes: Uint8Array,
): E.Either<string, MessageShape<Desc>> => {
  // Subclasses of Uint8Array give byte fields of their own kind, whose slice() may not copy.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return E.tryCatch(
    () => fromBinary(schema, plain, { recursionLimit: nestingLimit }),
    (thrown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  )
}

/** The bytes of a message: fields in the order of their numbers, then unknown fields; the same bytes every time. */
export const encode = <Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Uint8Array =>
  toBinary(schema, message)

/** A shallow copy of `message` without the fields `left`; unknown fields stay. */
export const without = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  left: ReadonlyArray<DescField>,
): MessageShape<Desc> => {
  const copy = create(schema)
  const from = reflect(schema, message)
  const to = reflect(schema, copy)
  for (const field of schema.fields) {
    if (!left.includes(field) && from.isSet(field)) to.set(field, from.get(field))
  }
  const unknown = from.getUnknown()
  if (unknown !== undefined) to.setUnknown(unknown)
  return copy
}

/** The bytes of what {@link without} leaves; undefined when nothing is left. */
export const remainder = <Desc extends DescMessage>(
  schema: Desc,
  message: MessageShape<Desc>,
  left: ReadonlyArray<DescField>,
): Uint8Array | undefined => {
  const bytes = encode(schema, without(schema, message, left))
  return bytes.byteLength === 0 ? undefined : bytes
}
