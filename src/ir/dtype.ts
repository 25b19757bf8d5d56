/** Element types by their ONNX names, and how their bytes read as numbers. */

export const dtypes = [
  'float32',
  'uint8',
  'int8',
  'uint16',
  'int16',
  'int32',
  'int64',
  'string',
  'bool',
  'float16',
  'float64',
  'uint32',
  'uint64',
  'complex64',
  'complex128',
  'bfloat16',
  'float8e4m3fn',
  'float8e4m3fnuz',
  'float8e5m2',
  'float8e5m2fnuz',
  'uint4',
  'int4',
  'float4e2m1',
  'float8e8m0',
  'uint2',
  'int2',
] as const

export type DType = (typeof dtypes)[number]

const bits: Readonly<Record<DType, number>> = {
  float32: 32,
  uint8: 8,
  int8: 8,
  uint16: 16,
  int16: 16,
  int32: 32,
  int64: 64,
  string: 0,
  bool: 8,
  float16: 16,
  float64: 64,
  uint32: 32,
  uint64: 64,
  complex64: 64,
  complex128: 128,
  bfloat16: 16,
  float8e4m3fn: 8,
  float8e4m3fnuz: 8,
  float8e5m2: 8,
  float8e5m2fnuz: 8,
  uint4: 4,
  int4: 4,
  float4e2m1: 4,
  float8e8m0: 8,
  uint2: 2,
  int2: 2,
}

/** Bits of one element; 0 for strings, which have no fixed size. Types under 8 bits are packed, low bits first. */
export const bitsOf = (dtype: DType): number => bits[dtype]

/** Bytes that `count` elements take, packed types rounded up to whole bytes. */
export const byteLength = (dtype: DType, count: number): number => Math.ceil((bits[dtype] * count) / 8)

/** Whether elements of this type are real numbers that the analyses reason about. */
export const isFloat = (dtype: DType): boolean =>
  dtype === 'float32' || dtype === 'float16' || dtype === 'bfloat16' || dtype === 'float64'

/** Whether elements are 64-bit integers, which JavaScript numbers cannot hold exactly. */
export const isWide = (dtype: DType): dtype is 'int64' | 'uint64' => dtype === 'int64' || dtype === 'uint64'

const scratch = new DataView(new ArrayBuffer(4))

/** float32 whose upper half has these bfloat16 bits. */
export const fromBfloat16 = (half: number): number => {
  scratch.setUint32(0, half << 16)
  return scratch.getFloat32(0)
}

/** bfloat16 bits nearest to `x`, ties to even; NaN stays a quiet NaN. */
export const toBfloat16 = (x: number): number => {
  scratch.setFloat32(0, x)
  const word = scratch.getUint32(0)
  if (Number.isNaN(x)) return (word >>> 16) | 0x40
  return ((word + 0x7fff + ((word >>> 16) & 1)) >>> 16) & 0xffff
}

/** Value of IEEE 754 binary16 bits. */
export const fromFloat16 = (half: number): number => {
  const sign = half & 0x8000 ? -1 : 1
  const exponent = (half >>> 10) & 0x1f
  const fraction = half & 0x3ff
  if (exponent === 0) return sign * fraction * 2 ** -24
  if (exponent === 31) return fraction ? NaN : sign * Infinity
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15)
}

/** IEEE 754 binary16 bits nearest to the double `x`, ties to even, rounded once; overflow gives infinity. */
export const toFloat16 = (x: number): number => {
  if (Number.isNaN(x)) return 0x7e00
  const sign = x < 0 || Object.is(x, -0) ? 0x8000 : 0
  const magnitude = Math.abs(x)
  if (magnitude >= 65520) return sign | 0x7c00
  const exponent = magnitude < 2 ** -14 ? -14 : Math.floor(Math.log2(magnitude))
  // log2 may be off by one next to a power of two; the quantum below corrects through carry into the exponent bits.
  const unit = 2 ** ((magnitude < 2 ** exponent ? exponent - 1 : exponent) - 10)
  const quantum = Math.max(unit, 2 ** -24)
  const scaled = magnitude / quantum
  const floor = Math.floor(scaled)
  const rest = scaled - floor
  const rounded = rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor
  if (quantum === 2 ** -24) return sign | rounded
  return sign | ((Math.round(Math.log2(quantum)) + 25 - 1) * 1024 + rounded)
}

/** The same of a float32 given by its bits: what {@link toFloat16} makes of it, without arithmetic on doubles. */
export const float32BitsToFloat16 = (word: number): number => {
  const sign = (word >>> 16) & 0x8000
  const size = word & 0x7fffffff
  if (size > 0x7f800000) return 0x7e00
  // From 65520 on the nearest number is infinite.
  if (size >= 0x477ff000) return sign | 0x7c00
  if (size >= 0x38800000) {
    // The exponent is rebased from 127 to 15; a carry out of the fraction goes into it.
    const rebased = size - 0x38000000
    return sign | ((rebased + 0xfff + ((rebased >>> 13) & 1)) >>> 13)
  }
  // Below 2^-25 and at it the nearest number is zero.
  if (size <= 0x33000000) return sign
  const shift = 126 - (size >>> 23)
  const fraction = (size & 0x7fffff) | 0x800000
  const rest = fraction & (2 ** shift - 1)
  const kept = fraction >>> shift
  const half = 2 ** (shift - 1)
  return sign | (rest > half || (rest === half && (kept & 1) === 1) ? kept + 1 : kept)
}
