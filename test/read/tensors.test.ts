import { create } from '@bufbuild/protobuf'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { byteLength, type DType, dtypes } from '../../src/ir/dtype.ts'
import { elements, isNumeric, materialize, type Tensor } from '../../src/ir/tensor.ts'
import { decode, encode } from '../../src/onnx/codec.ts'
import { TensorProtoSchema } from '../../src/onnx/onnx_pb.ts'
import { codeOf, dtypeOf } from '../../src/onnx/types.ts'
import type { ReadError } from '../../src/read/error.ts'
import { readTensor } from '../../src/read/tensor.ts'
import { writeTensor } from '../../src/export/tensor.ts'
import type { TensorInit } from './make.ts'

const tensor = (init: TensorInit): E.Either<ReadError, Tensor> =>
  readTensor(create(TensorProtoSchema, init), 'initializer w', undefined)

const right = (init: TensorInit): Tensor => {
  const read = tensor(init)
  if (E.isLeft(read)) throw new Error(`${read.left.expected} / ${read.left.found}`)
  return read.right
}

const left = (init: TensorInit): ReadError => {
  const read = tensor(init)
  if (E.isRight(read)) throw new Error('the tensor was read')
  return read.left
}

const bytesOf = (init: TensorInit): ReadonlyArray<number> => [...materialize(right(init)).bytes]

const raw = (array: { readonly buffer: ArrayBufferLike }): ReadonlyArray<number> => [...new Uint8Array(array.buffer)]

/** Two elements of each type in its typed field, and the bytes they must become. */
const typed: ReadonlyArray<readonly [DType, TensorInit, ReadonlyArray<number>]> = [
  ['float32', { floatData: [1.5, -0] }, raw(Float32Array.of(1.5, -0))],
  ['complex64', { floatData: [1, 2, 3, 4] }, raw(Float32Array.of(1, 2, 3, 4))],
  ['float64', { doubleData: [0.1, -2e300] }, raw(Float64Array.of(0.1, -2e300))],
  ['complex128', { doubleData: [1, 2, 3, 4] }, raw(Float64Array.of(1, 2, 3, 4))],
  ['int64', { int64Data: [-1n, 2n ** 62n] }, raw(BigInt64Array.of(-1n, 2n ** 62n))],
  ['uint64', { uint64Data: [1n, 2n ** 64n - 1n] }, raw(BigUint64Array.of(1n, 2n ** 64n - 1n))],
  ['uint32', { uint64Data: [1n, 2n ** 32n - 1n] }, raw(Uint32Array.of(1, 2 ** 32 - 1))],
  ['int32', { int32Data: [-5, 2 ** 31 - 1] }, raw(Int32Array.of(-5, 2 ** 31 - 1))],
  ['int16', { int32Data: [-2, 300] }, raw(Int16Array.of(-2, 300))],
  ['uint16', { int32Data: [2, 65535] }, raw(Uint16Array.of(2, 65535))],
  ['int8', { int32Data: [-2, 127] }, [254, 127]],
  ['uint8', { int32Data: [2, 255] }, [2, 255]],
  ['bool', { int32Data: [0, 1] }, [0, 1]],
  ['float16', { int32Data: [0x3c00, 0xc000] }, [0x00, 0x3c, 0x00, 0xc0]],
  ['bfloat16', { int32Data: [0x3f80, 0xc000] }, [0x80, 0x3f, 0x00, 0xc0]],
  ['float8e4m3fn', { int32Data: [0x38, 0xff] }, [0x38, 0xff]],
  ['float8e4m3fnuz', { int32Data: [0x38, 0x80] }, [0x38, 0x80]],
  ['float8e5m2', { int32Data: [0x3c, 0xfc] }, [0x3c, 0xfc]],
  ['float8e5m2fnuz', { int32Data: [0x40, 0x80] }, [0x40, 0x80]],
  ['float8e8m0', { int32Data: [127, 254] }, [127, 254]],
  ['int4', { int32Data: [0x7f] }, [0x7f]],
  ['uint4', { int32Data: [0x21] }, [0x21]],
  ['float4e2m1', { int32Data: [0x21] }, [0x21]],
  ['int2', { int32Data: [0b0111] }, [0b0111]],
  ['uint2', { int32Data: [0b0110] }, [0b0110]],
]

describe('tensors', () => {
  it('lists every type but strings above', () => {
    expect([...typed.map(([dtype]) => dtype), 'string'].sort()).toEqual([...dtypes].sort())
  })

  it.each(typed)('reads %s from its typed field and from raw data alike', (dtype, init, bytes) => {
    const proto = { dims: [2n], dataType: codeOf(dtype) }
    expect(bytesOf({ ...proto, ...init })).toEqual(bytes)
    expect(bytesOf({ ...proto, rawData: Uint8Array.from(bytes) })).toEqual(bytes)
    if (isNumeric(dtype)) expect(elements(right({ ...proto, ...init }))).toHaveLength(2)
  })

  it.each(typed)('reads a scalar, no elements, and odd numbers of %s', (dtype, _, bytes) => {
    const proto = { dataType: codeOf(dtype) }
    const one = byteLength(dtype, 1)
    expect(bytesOf({ ...proto, rawData: Uint8Array.from(bytes.slice(0, one)) })).toEqual(bytes.slice(0, one))
    expect(right({ ...proto, dims: [0n, 3n] }).shape).toEqual([0, 3])
    expect(bytesOf({ ...proto, dims: [0n], rawData: new Uint8Array() })).toEqual([])
    const five = new Uint8Array(byteLength(dtype, 5)).fill(1)
    expect(bytesOf({ ...proto, dims: [5n], rawData: five })).toEqual([...five])
  })

  it.each(typed)('refuses %s in every field of another type', (dtype, init) => {
    const fields: ReadonlyArray<TensorInit> = [
      { floatData: [1] },
      { doubleData: [1] },
      { int64Data: [1n] },
      { uint64Data: [1n] },
      { int32Data: [1] },
      { stringData: [Uint8Array.of(1)] },
    ]
    const own = Object.keys(init)[0]
    for (const field of fields) {
      if (Object.keys(field)[0] === own) continue
      expect(left({ dims: [1n], dataType: codeOf(dtype), ...field }).code).toBe('tensor-data-invalid')
    }
  })

  it('reads packed elements low bits first', () => {
    const of = (dtype: DType, byte: number, count: bigint): ReadonlyArray<number> =>
      Array.from(elements(right({ dims: [count], dataType: codeOf(dtype), int32Data: [byte] })), Number)
    expect(of('int4', 0x7f, 2n)).toEqual([-1, 7])
    expect(of('uint4', 0x21, 2n)).toEqual([1, 2])
    expect(of('uint2', 0b11100100, 4n)).toEqual([0, 1, 2, 3])
    expect(of('int2', 0b11100100, 4n)).toEqual([0, 1, -2, -1])
  })

  it('reads strings, also those that are not text', () => {
    const strings = [new TextEncoder().encode('äb'), Uint8Array.of(0xff, 0), new Uint8Array()]
    const read = right({ dims: [3n], dataType: 8, stringData: strings })
    expect(read).toMatchObject({ dtype: 'string', shape: [3], strings })
    expect(left({ dims: [2n], dataType: 8, stringData: strings }).found).toBe('3 strings')
    expect(left({ dims: [1n], dataType: 8, rawData: Uint8Array.of(1) }).code).toBe('tensor-data-invalid')
  })

  it('keeps raw data as a view', () => {
    const bytes = encode(
      TensorProtoSchema,
      create(TensorProtoSchema, { dims: [2n], dataType: 1, rawData: new Uint8Array(8) }),
    )
    const proto = decode(TensorProtoSchema, bytes)
    if (E.isLeft(proto)) throw new Error(proto.left)
    const read = readTensor(proto.right, 'w', undefined)
    expect(E.isRight(read) && materialize(read.right).bytes.buffer).toBe(bytes.buffer)
  })

  it('says which tensor is wrong, how many bytes its type takes, and how many there are', () => {
    expect(left({ dims: [2n, 3n], dataType: 1, rawData: new Uint8Array(20) })).toMatchObject({
      subject: 'initializer w',
      expected: '24 bytes for float32[2,3]',
      found: '20 bytes in raw_data',
    })
    expect(left({ dims: [2n], dataType: 1, floatData: [1, 2, 3] }).found).toBe('12 bytes in float_data')
    expect(left({ dims: [2n], dataType: 1 }).found).toBe('no data')
    expect(left({ dims: [0n], dataType: 1, floatData: [1] }).expected).toBe('0 bytes for float32[0]')
  })

  it.each<[string, TensorInit]>([
    ['two fields', { dims: [1n], dataType: 1, floatData: [1], rawData: new Uint8Array(4) }],
    ['a negative size', { dims: [-1n], dataType: 1 }],
    ['sizes whose product overflows', { dims: [2n ** 62n, 4n], dataType: 1 }],
    ['more elements than bytes can number', { dims: [2n ** 31n, 2n ** 31n], dataType: 1 }],
    ['no element type', { dims: [1n], rawData: new Uint8Array(4) }],
    ['an element type to come', { dims: [1n], dataType: dtypes.length + 1, rawData: new Uint8Array(4) }],
    ['a segment', { dims: [1n], dataType: 1, rawData: new Uint8Array(4), segment: { begin: 0n, end: 1n } }],
  ])('refuses %s', (_, init) => {
    expect(left(init).code).toBe('tensor-data-invalid')
  })

  it('numbers element types as ONNX does', () => {
    for (const [index, dtype] of dtypes.entries()) {
      expect(codeOf(dtype)).toBe(index + 1)
      expect(dtypeOf(index + 1)).toBe(dtype)
    }
    expect([codeOf('float32'), codeOf('string'), codeOf('bfloat16'), codeOf('int4'), codeOf('int2')]).toEqual([
      1, 8, 16, 22, 26,
    ])
    expect([dtypeOf(0), dtypeOf(-1), dtypeOf(99)]).toEqual([undefined, undefined, undefined])
  })

  it.each(typed)('writes %s as raw data that reads back the same', (dtype, init) => {
    const read = right({ dims: [2n], dataType: codeOf(dtype), docString: 'why', ...init })
    const written = writeTensor('w', read)
    expect(written.docString).toBe('why')
    expect([...written.rawData]).toEqual([...materialize(read).bytes])
    const again = readTensor(written, 'w', undefined)
    expect(E.isRight(again) && materialize(again.right)).toMatchObject({
      dtype,
      shape: [2],
      bytes: materialize(read).bytes,
    })
  })
})
