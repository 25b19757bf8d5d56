/** Elements of tensors as bytes and as numbers: little-endian, types under 8 bits packed, low bits first. */
import { bitsOf, byteLength, type DType, fromBfloat16, fromFloat16, isWide, toBfloat16, toFloat16 } from './dtype.ts'

/** Numbers of a tensor. 64-bit integers keep their exact value; everything else fits a double. */
export type Elements = Float64Array | Float32Array | BigInt64Array | BigUint64Array

/** One byte for each of `count` elements of a packed type, sign-less. */
export const unpack = (dtype: DType, bytes: Uint8Array, count: number): Uint8Array => {
  const bits = bitsOf(dtype)
  const per = 8 / bits
  const mask = (1 << bits) - 1
  const out = new Uint8Array(count)
  for (let i = 0; i < out.length; i++) out[i] = ((bytes[Math.floor(i / per)] ?? 0) >> ((i % per) * bits)) & mask
  return out
}

/** The bytes of elements of a packed type, given one byte for each. */
export const pack = (dtype: DType, raw: Uint8Array): Uint8Array => {
  const bits = bitsOf(dtype)
  const per = 8 / bits
  const out = new Uint8Array(byteLength(dtype, raw.length))
  for (let i = 0; i < raw.length; i++) {
    const at = Math.floor(i / per)
    out[at] = (out[at] ?? 0) | ((raw[i] ?? 0) << ((i % per) * bits))
  }
  return out
}

/** `count` elements of a numeric type: 64-bit integers as bigint, all else as doubles, float32 too. */
export const decodeElements = (dtype: DType, bytes: Uint8Array, count: number): Elements => {
  const copy = new Uint8Array(bytes).buffer
  if (dtype === 'int64') return new BigInt64Array(copy)
  if (dtype === 'uint64') return new BigUint64Array(copy)
  switch (dtype) {
    case 'float32':
      return new Float64Array(new Float32Array(copy))
    case 'float64':
      return new Float64Array(copy)
    case 'float16':
      return Float64Array.from(new Uint16Array(copy), fromFloat16)
    case 'bfloat16':
      return Float64Array.from(new Uint16Array(copy), fromBfloat16)
    case 'int32':
      return new Float64Array(new Int32Array(copy))
    case 'uint32':
      return new Float64Array(new Uint32Array(copy))
    case 'int16':
      return new Float64Array(new Int16Array(copy))
    case 'uint16':
      return new Float64Array(new Uint16Array(copy))
    case 'int8':
      return new Float64Array(new Int8Array(copy))
    case 'uint8':
    case 'bool':
      return new Float64Array(new Uint8Array(copy))
    case 'uint4':
    case 'uint2':
      return Float64Array.from(unpack(dtype, bytes, count))
    case 'int4':
      return Float64Array.from(unpack(dtype, bytes, count), (x) => (x << 28) >> 28)
    case 'int2':
      return Float64Array.from(unpack(dtype, bytes, count), (x) => (x << 30) >> 30)
    default:
      throw new Error(`chasec: internal invariant broken: numbers of a ${dtype} tensor.`)
  }
}

/**
 * Little-endian bytes of `values` as `dtype`, one rounding each; integers wrap like a C cast. A Float32Array becomes
 * float32 bytes without a copy: it must not be written to afterwards.
 */
export const encodeElements = (dtype: DType, values: Elements | ReadonlyArray<number>): Uint8Array => {
  const numbers = (): ReadonlyArray<number> | Float64Array | Float32Array =>
    values instanceof BigInt64Array || values instanceof BigUint64Array ? Float64Array.from(values, Number) : values
  const bytesOf = (array: { readonly buffer: ArrayBufferLike }): Uint8Array => new Uint8Array(array.buffer)
  if (isWide(dtype)) {
    const wide: Array<bigint> = []
    for (const v of values) wide.push(typeof v === 'bigint' ? v : BigInt(Math.trunc(v)))
    return bytesOf(dtype === 'int64' ? BigInt64Array.from(wide) : BigUint64Array.from(wide))
  }
  switch (dtype) {
    case 'float32':
      return values instanceof Float32Array
        ? new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
        : bytesOf(new Float32Array(numbers()))
    case 'float64':
      return bytesOf(new Float64Array(numbers()))
    case 'float16':
      return bytesOf(Uint16Array.from(numbers(), toFloat16))
    case 'bfloat16':
      return bytesOf(Uint16Array.from(numbers(), toBfloat16))
    case 'int32':
      return bytesOf(new Int32Array(numbers()))
    case 'uint32':
      return bytesOf(new Uint32Array(numbers()))
    case 'int16':
      return bytesOf(new Int16Array(numbers()))
    case 'uint16':
      return bytesOf(new Uint16Array(numbers()))
    case 'int8':
      return bytesOf(new Int8Array(numbers()))
    case 'uint8':
      return bytesOf(new Uint8Array(numbers()))
    case 'bool':
      return bytesOf(Uint8Array.from(numbers(), (x) => (x === 0 ? 0 : 1)))
    case 'int4':
    case 'uint4':
    case 'int2':
    case 'uint2':
      return pack(
        dtype,
        Uint8Array.from(numbers(), (x) => x & ((1 << bitsOf(dtype)) - 1)),
      )
    default:
      throw new Error(`chasec: internal invariant broken: numbers as a ${dtype} tensor.`)
  }
}
