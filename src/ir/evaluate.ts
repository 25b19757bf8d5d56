/** Building blocks of reference evaluation: plain loops over numbers, computed in double and rounded once. */
import { bitsOf, type DType, isFloat, isWide } from './dtype.ts'
import type { Elements } from './element-codec.ts'
import { dense, type Dense, elementBuffer, elements, isNumeric, tensorOf } from './tensor.ts'
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
  if (tensor.strings || width < 1 || (fill !== undefined && fill.byteLength !== width)) return undefined
  const out = new Uint8Array(sizeOf(shape) * width)
  forEachIndex(shape, (index, flat) => {
    const at = source(index)
    if (at >= 0) for (let b = 0; b < width; b++) out[flat * width + b] = tensor.bytes[at * width + b] ?? 0
    else if (fill) out.set(fill, flat * width)
  })
  return dense(tensor.dtype, shape, out)
}

/** The same bytes under another shape, which must hold as many. */
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

/** Per axis of `shape` how far apart neighbours are in an operand of shape `from`; 0 along axes where it is widened. */
const widenedStrides = (from: StaticShape, shape: StaticShape): ReadonlyArray<number> => {
  const strides = stridesOf(from)
  const first = shape.length - from.length
  return shape.map((_, a) => (a < first || from[a - first] === 1 ? 0 : (strides[a - first] ?? 0)))
}

/** Element-wise over broadcast operands, on numbers, or on bigints where an operand is 64-bit and `wide` is given. */
export const broadcastElements = (
  dtype: DType,
  operands: ReadonlyArray<Dense>,
  compute: (...xs: number[]) => number,
  wide?: (...xs: bigint[]) => bigint | number,
): Dense | undefined => {
  const shape = broadcastStatic(operands.map((o) => o.shape))
  if (shape === undefined || !operands.every((o) => isNumeric(o.dtype))) return undefined
  const strides = operands.map((o) => widenedStrides(o.shape, shape))
  const values: ReadonlyArray<Elements> = operands.map((o) => elements(o))
  const size = sizeOf(shape)
  if (values.some((v) => v instanceof BigInt64Array || v instanceof BigUint64Array)) {
    if (wide === undefined || operands.some((o) => isFloat(o.dtype))) return undefined
    const results: Array<bigint | number> = new Array<bigint>(size)
    forEachIndex(shape, (index, flat) => {
      const offset = (k: number): number => index.reduce((at, i, a) => at + i * (strides[k]?.[a] ?? 0), 0)
      results[flat] = wide(...values.map((v, k) => BigInt(v[offset(k)] ?? 0)))
    })
    const numbers = isWide(dtype) ? BigInt64Array.from(results, BigInt) : Float64Array.from(results, Number)
    return tensorOf(dtype, shape, numbers)
  }
  const numbers = operands.map(numbersOf)
  const [a, b, ...others] = numbers
  const count = shape.at(-1) ?? 1
  const steps = strides.map((s) => s.at(-1) ?? 0)
  const [stepA = 0, stepB = 0] = steps
  const starts = new Int32Array(operands.length)
  const out = elementBuffer(dtype, size)
  forEachIndex(shape.slice(0, -1), (index, row) => {
    for (let k = 0; k < starts.length; k++) {
      let at = 0
      for (let axis = 0; axis < index.length; axis++) at += (index[axis] ?? 0) * (strides[k]?.[axis] ?? 0)
      starts[k] = at
    }
    const [startA = 0, startB = 0] = starts
    const to = row * count
    for (let i = 0; i < count; i++) {
      const x = a?.[startA + i * stepA] ?? 0
      if (b === undefined) out[to + i] = compute(x)
      else if (others.length === 0) out[to + i] = compute(x, b[startB + i * stepB] ?? 0)
      else out[to + i] = compute(...numbers.map((v, k) => v[(starts[k] ?? 0) + i * (steps[k] ?? 0)] ?? 0))
    }
  })
  return tensorOf(dtype, shape, out)
}
