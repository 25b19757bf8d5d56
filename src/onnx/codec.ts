/** Protobuf messages of ONNX to and from bytes. */
import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import * as E from 'fp-ts/lib/Either.js'
import { invariant } from '../ir/failure.ts'
import {
  emptyMessage,
  type Field,
  type FieldName,
  type Message,
  type Properties,
  type Scalar,
  type Schema,
  setValue,
  valueOf,
} from './message.ts'

/** Messages nested deeper than this are refused, as protobuf's C++ library, and so ONNX Runtime, refuses them. */
export const nestingLimit = 100

const readScalar = (reader: BinaryReader, type: Scalar): unknown => {
  switch (type) {
    case 'string':
      return reader.string()
    case 'bytes':
      return reader.bytes()
    case 'float':
      return reader.float()
    case 'double':
      return reader.double()
    case 'int32':
      return reader.int32()
    case 'int64':
      return reader.int64()
    case 'uint64':
      return reader.uint64()
  }
}

/** Reads on to `end` into `message`, to which lists are appended and messages merged that are there already. */
const readMessage = (
  reader: BinaryReader,
  schema: Schema,
  message: Properties,
  end: number,
  depth: number,
): Properties => {
  if (depth > nestingLimit) throw new Error(`${schema.typeName} is nested beyond a depth of ${nestingLimit}`)
  const keep = (no: number, wireType: WireType, data: Uint8Array): void => {
    const unknown = message['$unknown']
    if (Array.isArray(unknown)) unknown.push({ no, wireType, data })
    else message['$unknown'] = [{ no, wireType, data }]
  }
  const readInner = (inner: Schema, into: unknown): Properties => {
    const length = reader.uint32()
    const known = inner.is(into) ? into : emptyMessage(inner)
    return readMessage(reader, inner, known, reader.pos + length, depth + 1)
  }
  while (reader.pos < end) {
    const [number, wireType] = reader.tag()
    const [name, field] = schema.byNumber.get(number) ?? []
    if (name === undefined || field === undefined) {
      keep(number, wireType, reader.skip(wireType, number, nestingLimit - depth))
      continue
    }
    const { type } = field
    const list = field.list === true ? message[name] : undefined
    if (Array.isArray(list)) {
      invariant(typeof type === 'string' || typeof type === 'function', 'lists are not of enums')
      if (typeof type === 'function') list.push(readInner(type(), undefined))
      else if (wireType === WireType.LengthDelimited && type !== 'string' && type !== 'bytes') {
        const last = reader.uint32() + reader.pos
        while (reader.pos < last) list.push(readScalar(reader, type))
      } else list.push(readScalar(reader, type))
    } else if (typeof type === 'function') {
      setValue(message, name, field, readInner(type(), valueOf(message, name, field)))
    } else if (typeof type === 'string') setValue(message, name, field, readScalar(reader, type))
    else {
      const value = reader.int32()
      if (type.includes(value)) setValue(message, name, field, value)
      else keep(number, wireType, new BinaryWriter().int32(value).finish())
    }
  }
  return message
}

/**
 * The message that `bytes` encode, or why they encode none. Byte fields (raw_data) are views of `bytes`; unknown fields
 * are kept and written again by {@link encode}.
 */
export const decode = <T extends Message>(schema: Schema<T>, bytes: Uint8Array): E.Either<string, T> => {
  // Subclasses of Uint8Array give byte fields of their own kind, whose slice() may not copy.
  const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return E.tryCatch(
    () => {
      const message = readMessage(new BinaryReader(plain), schema, emptyMessage(schema), plain.byteLength, 1)
      invariant(schema.is(message), `what is read of ${schema.typeName} is one`)
      return message
    },
    (thrown) => (thrown instanceof Error ? thrown.message : String(thrown)),
  )
}

const wireTypes: Readonly<Record<Scalar, WireType>> = {
  string: WireType.LengthDelimited,
  bytes: WireType.LengthDelimited,
  float: WireType.Bit32,
  double: WireType.Bit64,
  int32: WireType.Varint,
  int64: WireType.Varint,
  uint64: WireType.Varint,
}

const writeScalar = (writer: BinaryWriter, type: Scalar, value: unknown): void => {
  if (type === 'string' && typeof value === 'string') writer.string(value)
  else if (type === 'bytes' && value instanceof Uint8Array) writer.bytes(value)
  else if (type === 'float' && typeof value === 'number') writer.float(value)
  else if (type === 'double' && typeof value === 'number') writer.double(value)
  else if (type === 'int32' && typeof value === 'number') writer.int32(value)
  else if (type === 'int64' && typeof value === 'bigint') writer.int64(value)
  else if (type === 'uint64' && typeof value === 'bigint') writer.uint64(value)
  else invariant(false, `a ${typeof value} is written as ${type}`)
}

const writeField = (writer: BinaryWriter, { number, type, packed }: Field, values: ReadonlyArray<unknown>): void => {
  if (typeof type === 'function') {
    const inner = type()
    for (const value of values) {
      invariant(inner.is(value), `what is written as ${inner.typeName} is one`)
      writeMessage(writer.tag(number, WireType.LengthDelimited).fork(), inner, value).join()
    }
    return
  }
  const scalar = typeof type === 'string' ? type : 'int32'
  if (packed !== true) {
    for (const value of values) writeScalar(writer.tag(number, wireTypes[scalar]), scalar, value)
  } else if (values.length > 0) {
    writer.tag(number, WireType.LengthDelimited).fork()
    for (const value of values) writeScalar(writer, scalar, value)
    writer.join()
  }
}

const writeMessage = (writer: BinaryWriter, schema: Schema, message: Message): BinaryWriter => {
  for (const [name, field] of Object.entries<Field>(schema.fields)) {
    const value = valueOf(message, name, field)
    if (value !== undefined) writeField(writer, field, Array.isArray(value) ? value : [value])
  }
  for (const { no, wireType, data } of message.$unknown ?? []) writer.tag(no, wireType).raw(data)
  return writer
}

/** The bytes of a message: fields in the order of their numbers, then unknown fields; the same bytes every time. */
export const encode = <T extends Message>(schema: Schema<T>, message: T): Uint8Array =>
  writeMessage(new BinaryWriter(), schema, message).finish()

/** A shallow copy of `message` without the fields `left`; unknown fields stay. */
export const without = <T extends Message>(schema: Schema<T>, message: T, left: ReadonlyArray<FieldName<T>>): T => {
  const copy = emptyMessage(schema)
  const leaves = new Set<string>(left)
  for (const [name, field] of Object.entries<Field>(schema.fields)) {
    const value = leaves.has(name) ? undefined : valueOf(message, name, field)
    if (value !== undefined) setValue(copy, name, field, value)
  }
  if (message.$unknown !== undefined) copy['$unknown'] = message.$unknown
  invariant(schema.is(copy), `a copy of ${schema.typeName} is one`)
  return copy
}

/** The bytes of what {@link without} leaves; undefined when nothing is left. */
export const remainder = <T extends Message>(
  schema: Schema<T>,
  message: T,
  left: ReadonlyArray<FieldName<T>>,
): Uint8Array | undefined => {
  const bytes = encode(schema, without(schema, message, left))
  return bytes.byteLength === 0 ? undefined : bytes
}
