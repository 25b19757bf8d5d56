/** Bytes of selected elements. */
import { sizeOf } from './type.ts'

/**
 * Copies the elements of `width` bytes that `indices` keep of each axis, null keeping it whole; trailing blocks at once where
 * trailing axes are kept whole.
 */
export const pick = (
  from: Uint8Array,
  shape: ReadonlyArray<number>,
  indices: ReadonlyArray<Int32Array | null>,
  width: number,
): Uint8Array => {
  const counts = shape.map((size, axis) => indices[axis]?.length ?? size)
  let inner = shape.length
  let block = width
  while (inner > 0 && indices[inner - 1] === null) {
    inner -= 1
    block *= shape[inner] ?? 1
  }
  if (inner === 0) return from.slice()
  const out = new Uint8Array(sizeOf(counts) * width)
  if (out.length === 0) return out
  // Byte strides of the selected axes, and an odometer over all of them but the last.
  const strides = new Array<number>(inner)
  let stride = block
  for (let a = inner - 1; a >= 0; a--) {
    strides[a] = stride
    stride *= shape[a] ?? 1
  }
  const at = new Int32Array(inner)
  const offsetOf = (a: number): number => (indices[a]?.[at[a] ?? 0] ?? at[a] ?? 0) * (strides[a] ?? 0)
  const last = inner - 1
  const lastIndices = indices[last]
  const lastCount = counts[last] ?? 0
  const lastStride = strides[last] ?? 0
  const words = block === 4 ? new DataView(from.buffer, from.byteOffset, from.byteLength) : undefined
  const out32 = block === 4 ? new Uint32Array(out.buffer) : undefined
  let to = 0
  for (;;) {
    let base = 0
    for (let a = 0; a < last; a++) base += offsetOf(a)
    if (words && out32) {
      for (let i = 0; i < lastCount; i++) {
        out32[to++] = words.getUint32(base + (lastIndices?.[i] ?? i) * lastStride, true)
      }
    } else if (block < 128) {
      for (let i = 0; i < lastCount; i++) {
        const start = base + (lastIndices?.[i] ?? i) * lastStride
        for (let b = 0; b < block; b++) out[to++] = from[start + b] ?? 0
      }
    } else {
      for (let i = 0; i < lastCount; i++) {
        const start = base + (lastIndices?.[i] ?? i) * lastStride
        out.set(from.subarray(start, start + block), to)
        to += block
      }
    }
    let a = last - 1
    while (a >= 0) {
      at[a] = (at[a] ?? 0) + 1
      if ((at[a] ?? 0) < (counts[a] ?? 0)) break
      at[a] = 0
      a -= 1
    }
    if (a < 0) return out
  }
}
