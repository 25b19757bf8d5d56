/** Integers of 2, 4 or 8 bits that operators take as bytes: rows along axis 0, each filled up to whole bytes or whole blocks. */
import { bitsOf, byteLength, type DType } from '../dtype.ts'
import { reformed } from '../edits.ts'
import { pack, unpack } from '../element-codec.ts'
import { dense, gather, hasWholeRows, materialize, type Tensor } from '../tensor.ts'
import { sizeOf } from '../type.ts'

/** The same bytes, rows as they were, as a tensor of another type and shape. */
export const viewed = (source: Tensor, dtype: DType, shape: ReadonlyArray<number>): Tensor => {
  const { tag } = source
  if (tag === 'Dense') return dense(dtype, shape, source.bytes)
  if (tag === 'External') return { ...source, dtype, shape }
  return source.shape[0] === shape[0]
    ? reformed(source, { dtype, shape }, (rows) => rows)
    : dense(dtype, shape, materialize(source).bytes)
}

/** Rows of `count` integers of `dtype`, of bytes that may hold some more in each row. */
export const integersIn = (bytes: Tensor, dtype: DType, rows: number, count: number): Tensor => {
  const width = (sizeOf(bytes.shape) / Math.max(1, rows)) * (8 / bitsOf(dtype))
  const whole = viewed(bytes, dtype, [rows, width])
  return width === count
    ? whole
    : gather(
        whole,
        1,
        Int32Array.from({ length: count }, (_, i) => i),
      )
}

/** The bytes of rows of integers, zeros behind each row up to `width` bytes. */
export const bytesOfRows = (integers: Tensor, width: number): Tensor => {
  const { dtype } = integers
  const [rows = 0, count = 0] = integers.shape
  const to = { dtype: 'uint8' as const, shape: [rows, width] }
  const each = byteLength(dtype, count)
  if (hasWholeRows(integers)) {
    return reformed(integers, to, (bytes) => {
      const out = new Uint8Array((bytes.length / Math.max(1, each)) * width)
      for (let row = 0; row * each < bytes.length; row++) {
        out.set(bytes.subarray(row * each, (row + 1) * each), row * width)
      }
      return out
    })
  }
  const numbers = unpack(dtype, materialize(integers).bytes, rows * count)
  const out = new Uint8Array(rows * width)
  for (let row = 0; row < rows; row++) {
    out.set(pack(dtype, numbers.subarray(row * count, (row + 1) * count)), row * width)
  }
  return dense(to.dtype, to.shape, out)
}
