import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { decode, encode, nestingLimit } from '../../src/onnx/codec.ts'
import { GraphProtoSchema, ModelProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { debianModels, missingDebian } from './debian.ts'
import {
  exporterModels,
  fileBytes,
  floats,
  type GraphInit,
  info,
  modelBytes,
  node,
  parse,
  readFailure,
  subgraph,
} from './make.ts'

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0

describe('ONNX protobuf', () => {
  it.each(exporterModels())('%s is encoded to the bytes it was decoded from', (_, bytes) => {
    expect(sameBytes(encode(ModelProtoSchema, parse(bytes)), bytes)).toBe(true)
  })

  it.skipIf(missingDebian)(
    `every Debian test model is too${missingDebian ? ` (skipped: ${missingDebian})` : ''}`,
    () => {
      const models = debianModels()
      expect(models.length).toBeGreaterThan(1000)
      const changed = models.filter(({ path }) => {
        const bytes = fileBytes(path)
        return !sameBytes(encode(ModelProtoSchema, parse(bytes)), bytes)
      })
      expect(changed.map(({ name }) => name)).toEqual([])
    },
  )

  it('keeps raw data as a view, also of a Buffer, whose slices are no copies', () => {
    const bytes = modelBytes({ initializer: [floats('w', [1, 2, 3])] })
    for (const given of [bytes, Buffer.from(bytes)]) {
      const raw = parse(given).graph?.initializer[0]?.rawData
      expect(raw?.buffer).toBe(given.buffer)
      expect(Object.getPrototypeOf(raw)).toBe(Uint8Array.prototype)
    }
  })

  it('keeps 64-bit integers exactly', () => {
    const extremes = [-(2n ** 63n), 2n ** 63n - 1n, 2n ** 53n + 1n]
    const bytes = modelBytes({ initializer: [{ name: 'i', dims: [3n], dataType: 7, int64Data: extremes }] })
    expect(parse(bytes).graph?.initializer[0]?.int64Data).toEqual(extremes)
  })

  it('refuses messages nested beyond the limit and accepts those within it', () => {
    // Each level adds a graph, a node and an attribute; the model adds one.
    const nested = (levels: number): Uint8Array => {
      let graph: GraphInit = { name: 'inner', output: [info('y')] }
      for (let i = 1; i < levels; i++)
        graph = { name: 'g', node: [node('If', ['c'], ['y'], { attribute: [subgraph('then_branch', graph)] })] }
      return modelBytes(graph)
    }
    const deepest = Math.floor((nestingLimit - 8) / 3)
    expect(E.isRight(decode(ModelProtoSchema, nested(deepest)))).toBe(true)
    for (const levels of [40, 400]) {
      expect(readFailure(nested(levels))).toMatchObject({
        code: 'malformed-protobuf',
        found: expect.stringContaining(`depth of ${nestingLimit}`),
      })
    }
  })

  it.each([
    ['nothing', new Uint8Array()],
    ['text', new TextEncoder().encode('this is no model')],
    ['zeros', new Uint8Array(64)],
    ['an endless varint', new Uint8Array(64).fill(0xff)],
    ['a length beyond the end', Uint8Array.of(0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
    ['a group that never ends', Uint8Array.of(0x0b, 0x0b, 0x0b)],
    ['groups nested without end', new Uint8Array(5000).fill(0x0b)],
  ])('refuses %s with an error that names the model', (_, bytes) => {
    const error = readFailure(bytes)
    expect(error).toMatchObject({ _tag: 'ReadError', subject: 'the model' })
  })

  it('refuses every prefix of a model that is no model itself', () => {
    const bytes = modelBytes({ input: [info('x')], output: [info('y')], node: [node('Relu', ['x'], ['y'])] })
    for (let length = 0; length < bytes.byteLength; length++) {
      const cut = decode(GraphProtoSchema, bytes.subarray(0, length))
      if (E.isLeft(cut)) expect(cut.left).not.toBe('')
    }
    expect(readFailure(bytes.subarray(0, bytes.byteLength - 9)).code).toBe('malformed-protobuf')
  })
})
