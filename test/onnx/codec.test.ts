/** The codec of ONNX's messages against that of protobuf-es, from whose descriptors its tables are made. */
import { create, type DescField, type DescMessage, fromBinary, ScalarType, toBinary } from '@bufbuild/protobuf'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'
import { decode, encode, remainder, without } from '../../src/onnx/codec.ts'
import * as ours from '../../src/onnx/message.ts'
import {
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
  TypeProtoSchema,
} from '../../src/onnx/onnx_pb.ts'
import * as theirs from './onnx_pb.ts'

/** Bytes of a message with drawn fields: in any order and more than once, packed or not, some that the schema does not have. */
const drawBytes = (schema: DescMessage, seed: number): Uint8Array => {
  const draws = drawsFrom(seededRandom(seed))
  const number = (): number => (draws.below(3) === 0 ? 0 : draws.below(2 ** 31))
  const scalar = (writer: BinaryWriter, type: ScalarType): BinaryWriter => {
    switch (type) {
      case ScalarType.STRING:
        return writer.string(['', 'x', 'größer', '\u0000'][draws.below(4)] ?? '')
      case ScalarType.BYTES:
        return writer.bytes(Uint8Array.from({ length: draws.below(4) }, () => draws.below(256)))
      case ScalarType.FLOAT:
        return writer.float([0, -0, NaN, 1.5][draws.below(4)] ?? 0)
      case ScalarType.DOUBLE:
        return writer.double([0, -0, NaN, 1 / 3][draws.below(4)] ?? 0)
      case ScalarType.UINT64:
        return writer.uint64(draws.below(2) === 0 ? 2n ** 64n - 1n : BigInt(number()))
      case ScalarType.INT64:
        return writer.int64(draws.below(2) === 0 ? -(2n ** 63n) : BigInt(number()))
      default:
        return writer.int32(draws.below(2) === 0 ? -number() : number())
    }
  }
  const one = (writer: BinaryWriter, field: DescField, depth: number): void => {
    if (field.message !== undefined) {
      fill(writer.tag(field.number, WireType.LengthDelimited).fork(), field.message, depth + 1).join()
      return
    }
    if (field.enum !== undefined) {
      const { values } = field.enum
      writer.tag(field.number, WireType.Varint).int32(values[draws.below(values.length)]?.number ?? 0)
      return
    }
    const type = field.scalar ?? ScalarType.INT32
    const isText = type === ScalarType.STRING || type === ScalarType.BYTES
    if (field.fieldKind === 'list' && !isText && draws.below(2) === 0) {
      writer.tag(field.number, WireType.LengthDelimited).fork()
      for (let left = draws.below(4); left > 0; left--) scalar(writer, type)
      writer.join()
      return
    }
    const wide =
      type === ScalarType.DOUBLE ? WireType.Bit64 : type === ScalarType.FLOAT ? WireType.Bit32 : WireType.Varint
    scalar(writer.tag(field.number, isText ? WireType.LengthDelimited : wide), type)
  }
  const fill = (writer: BinaryWriter, { fields }: DescMessage, depth: number): BinaryWriter => {
    for (let left = draws.below(depth > 3 ? 1 : 6); left > 0; left--) {
      const field = fields[draws.below(fields.length)]
      if (field === undefined || draws.below(12) === 0) writer.tag(1000 + draws.below(9), WireType.Varint).uint32(7)
      else one(writer, field, depth)
    }
    return writer
  }
  return fill(new BinaryWriter(), schema, 0).finish()
}

/** A message without its unknown fields: protobuf-es forgets a number that an enum does not have when others follow. */
const known = (x: unknown): unknown => {
  if (Array.isArray(x)) return x.map(known)
  if (typeof x !== 'object' || x === null || x instanceof Uint8Array) return x
  return Object.fromEntries(
    Object.entries(x).flatMap(([name, value]) => (name === '$unknown' ? [] : [[name, known(value)]])),
  )
}

const read = (bytes: Uint8Array): unknown => {
  try {
    return fromBinary(theirs.ModelProtoSchema, bytes)
  } catch {
    return 'none'
  }
}

describe('the codec of messages', () => {
  it('has a table for every message, with the fields that the schema gives it', () => {
    const list = (messages: ReadonlyArray<DescMessage>): ReadonlyArray<DescMessage> =>
      messages.flatMap((message) => [message, ...list(message.nestedMessages)])
    const reached = new Map<string, ours.Schema>()
    const waiting: ours.Schema[] = [ModelProtoSchema]
    for (let schema = waiting.pop(); schema !== undefined; schema = waiting.pop()) {
      if (reached.has(schema.typeName)) continue
      reached.set(schema.typeName, schema)
      for (const { type } of Object.values<ours.Field>(schema.fields))
        if (typeof type === 'function') waiting.push(type())
    }
    const all = list(theirs.file_onnx.messages)
    expect([...reached.keys()].toSorted()).toEqual(all.map(({ typeName }) => typeName).toSorted())
    for (const { typeName, fields } of all) {
      const table = Object.entries<ours.Field>(reached.get(typeName)?.fields ?? {})
      const numbers = fields.map(({ localName, number }) => [localName, number])
      expect(table.map(([name, { number }]) => [name, number])).toEqual(
        numbers.toSorted(([, a], [, b]) => Number(a) - Number(b)),
      )
    }
  })

  it('reads what protobuf-es reads, and writes what it writes', () => {
    const property = fc.property(fc.nat(), (seed) => {
      const bytes = drawBytes(theirs.ModelProtoSchema, seed)
      const mine = decode(ModelProtoSchema, bytes)
      const reference = fromBinary(theirs.ModelProtoSchema, bytes)
      if (E.isLeft(mine)) throw new Error(mine.left)
      expect(mine.right).toEqual(reference)
      expect(encode(ModelProtoSchema, mine.right)).toEqual(toBinary(theirs.ModelProtoSchema, reference))
    })
    fc.assert(property, { numRuns: 1500 })
  })

  it('reads of damaged bytes what protobuf-es reads, or nothing where it reads nothing', () => {
    let refused = 0
    const property = fc.property(fc.nat(), fc.nat(), fc.nat(), (seed, at, by) => {
      const bytes = drawBytes(theirs.ModelProtoSchema, seed)
      if (bytes.length === 0) return
      const damaged = by % 3 === 0 ? bytes.subarray(0, at % bytes.length) : bytes.slice()
      if (by % 3 !== 0) damaged[at % bytes.length] = by
      const mine = decode(ModelProtoSchema, damaged)
      if (E.isLeft(mine)) refused += 1
      expect(known(E.isLeft(mine) ? 'none' : mine.right)).toEqual(known(read(damaged)))
    })
    fc.assert(property, { numRuns: 1500 })
    expect(refused).toBeGreaterThan(0)
  })

  it('keeps a number that an enum does not have, and writes it again', () => {
    const bytes = new BinaryWriter()
      .tag(20, WireType.Varint)
      .int32(-3)
      .tag(1, WireType.LengthDelimited)
      .string('a')
      .finish()
    const read = decode(AttributeProtoSchema, bytes)
    expect(read).toMatchObject({ right: { type: 0, name: 'a', $unknown: [{ no: 20, wireType: WireType.Varint }] } })
    if (E.isLeft(read)) throw new Error(read.left)
    const again = [...bytes.subarray(-3), ...bytes.subarray(0, -3)]
    expect([...encode(AttributeProtoSchema, read.right)]).toEqual(again)
  })

  it('makes messages of their parts as protobuf-es does', () => {
    const init = {
      name: 'g',
      initializer: [{ name: 'w', dims: [2n], rawData: new Uint8Array(8), dataType: 1 }],
      input: [
        { name: 'x', type: { value: { case: 'tensorType' as const, value: { elemType: 1, shape: { dim: [{}] } } } } },
      ],
    }
    const mine = ours.create(GraphProtoSchema, init)
    expect(mine).toEqual(create(theirs.GraphProtoSchema, init))
    expect(ours.create(GraphProtoSchema, mine)).toBe(mine)
    expect(mine.initializer[0]?.docString).toBe('')
  })

  it('knows what is set, clears it, and copies the rest', () => {
    const tensor = ours.create(TensorProtoSchema, { name: '', dims: [1n], dataLocation: 1 })
    const set = (name: ours.FieldName<typeof tensor>): boolean => ours.isSet(TensorProtoSchema, tensor, name)
    expect([set('name'), set('docString'), set('dims'), set('floatData')]).toEqual([true, false, true, false])
    expect(ours.isSet(TypeProtoSchema, ours.create(TypeProtoSchema), 'tensorType')).toBe(false)
    const copy = without(TensorProtoSchema, tensor, ['dims', 'name'])
    expect(copy).toEqual(ours.create(TensorProtoSchema, { dataLocation: 1 }))
    ours.clear(copy, 'dataLocation')
    expect([copy.dataLocation, encode(TensorProtoSchema, copy).length]).toEqual([0, 0])
    expect(remainder(TensorProtoSchema, tensor, ['dims', 'name', 'dataLocation'])).toBeUndefined()
    // A list of its own: what is added to a copy is not added to what it was copied from.
    copy.floatData.push(1)
    expect(tensor.floatData).toEqual([])
  })
})
