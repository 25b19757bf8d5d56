/** Building blocks of reference evaluation: plain loops over numbers, computed in double and rounded once. */
import { bitsOf, type DType, isWide } from './dtype.ts'
import { dense, type Dense, type Elements, elements, isNumeric, tensorOf } from './tensor.ts'
import { sizeOf } from './type.ts'

type StaticShape = ReadonlyArray<number>

/** Row-major element strides of a shape. */
export const stridesOf = (shape: StaticShape): ReadonlyArray<number> => {
  const out = new Array<number>(shape.length)
  let stride = 1
  for (let a = shape.length - 1; a >= 0; a--) {
    out[a] = stride
    stride *= shape[a] ?? 1
  }
  return out
}

/** Calls `visit` with every index of `shape` in row-major order; the array is reused between calls. */
export const forEachIndex = (shape: StaticShape, visit: (index: Int32Array, flat: number) => void): void => {
  const size = sizeOf(shape)
  const index = new Int32Array(shape.length)
  for (let flat = 0; flat < size; flat++) {
    visit(index, flat)
    for (let a = shape.length - 1; a >= 0; a--) {
      index[a] = (index[a] ?? 0) + 1
      if ((index[a] ?? 0) < (shape[a] ?? 0)) break
      index[a] = 0
    }
  }
}

/** Numbers of a tensor that is not 64-bit. */
export const numbersOf = (tensor: Dense): Float64Array | Float32Array => {
  const values = elements(tensor)
  return values instanceof BigInt64Array || values instanceof BigUint64Array
    ? Float64Array.from(values, Number)
    : values
}

/** Moves whole elements: output element `i` is input element `source(index)`, or `fill` where that is negative. */
export const move = (
  tensor: Dense,
  shape: StaticShape,
  source: (index: Int32Array) => number,
  fill?: Uint8Array,
): Dense | undefined => {
  const width = bitsOf(tensor.dtype) / 8
  if (tensor.strings || width < 1) return undefined
  const out = new Uint8Array(sizeOf(shape) * width)
  forEachIndex(shape, (index, flat) => {
    const at = source(index)
    if (at >= 0) for (let b = 0; b < width; b++) out[flat * width + b] = tensor.bytes[at * width + b] ?? 0
    else if (fill) out.set(fill, flat * width)
  })
  return dense(tensor.dtype, shape, out)
}

/** The same bytes under another shape. */
export const reshaped = (tensor: Dense, shape: StaticShape): Dense =>
  tensor.strings ? { ...tensor, shape } : dense(tensor.dtype, shape, tensor.bytes)

/** A tensor computed element by element. */
export const generate = (
  dtype: DType,
  shape: StaticShape,
  value: (index: Int32Array, flat: number) => number,
): Dense => {
  const out = new Float64Array(sizeOf(shape))
  forEachIndex(shape, (index, flat) => {
    out[flat] = value(index, flat)
  })
  return tensorOf(dtype, shape, out)
}

/** The shape that static shapes broadcast to, or undefined when they clash. */
export const broadcastStatic = (shapes: ReadonlyArray<StaticShape>): StaticShape | undefined => {
  const rank = Math.max(0, ...shapes.map((s) => s.length))
  const out = new Array<number>(rank).fill(1)
  for (const shape of shapes) {
    for (const [a, dim] of shape.entries()) {
      const at = a + rank - shape.length
      if (dim !== 1 && out[at] !== 1 && out[at] !== dim) return undefined
      if (dim !== 1) out[at] = dim
    }
  }
  return out
}

/** Element-wise over broadcast operands, on numbers, or on bigints where every operand is 64-bit and `wide` is given. */
export const broadcastElements = (
  dtype: DType,
  operands: ReadonlyArray<Dense>,
  compute: (...xs: number[]) => number,
  wide?: (...xs: bigint[]) => bigint | number,
): Dense | undefined => {
  const shape = broadcastStatic(operands.map((o) => o.shape))
  if (shape === undefined || !operands.every((o) => isNumeric(o.dtype))) return undefined
  const offsets = operands.map((o) => {
    const strides = stridesOf(o.shape)
    return (index: Int32Array): number => {
      let at = 0
      for (let a = 0; a < o.shape.length; a++) {
        if (o.shape[a] !== 1) at += (index[a + shape.length - o.shape.length] ?? 0) * (strides[a] ?? 0)
      }
      return at
    }
  })
  const values: ReadonlyArray<Elements> = operands.map((o) => elements(o))
  const size = sizeOf(shape)
  if (values.some((v) => v instanceof BigInt64Array || v instanceof BigUint64Array)) {
    if (wide === undefined) return undefined
    const out: Array<bigint | number> = new Array<bigint>(size)
    forEachIndex(shape, (index, flat) => {
      out[flat] = wide(...values.map((v, k) => BigInt(v[offsets[k]?.(index) ?? 0] ?? 0)))
    })
    return isWide(dtype)
      ? tensorOf(
          dtype,
          shape,
          BigInt64Array.from(out, (x) => BigInt(x)),
        )
      : tensorOf(dtype, shape, Float64Array.from(out, Number))
  }
  const out = new Float64Array(size)
  forEachIndex(shape, (index, flat) => {
    out[flat] = compute(...values.map((v, k) => Number(v[offsets[k]?.(index) ?? 0] ?? 0)))
  })
  return tensorOf(dtype, shape, out)
}
