import { invariant } from '../ir/failure.ts'

const digits = 65_536

/**
 * The number that stands at index `k` when `values` are sorted ascending. Radix selection on the bits of the doubles, 16 at
 * a time: O(n) whatever the values, without changing their order. No value may be NaN.
 */
export const kthSmallest = (values: Float64Array, k: number): number => {
  invariant(k >= 0 && k < values.length, `the smallest but ${k} of ${values.length} numbers`)
  const scratch = new DataView(new ArrayBuffer(8))
  let candidates = values
  let rank = k
  for (let digit = 0; digit < 4 && candidates.length > 1; digit++) {
    const keys = new Uint16Array(candidates.length)
    const counts = new Uint32Array(digits)
    for (let i = 0; i < candidates.length; i++) {
      scratch.setFloat64(0, candidates[i] ?? 0)
      const negative = scratch.getUint8(0) >> 7 === 1
      const raw = scratch.getUint16(2 * digit)
      // Ascending bits are ascending numbers once the sign bit is flipped, and for negative numbers all bits.
      const key = negative ? raw ^ 0xffff : digit === 0 ? raw ^ 0x8000 : raw
      keys[i] = key
      counts[key] = (counts[key] ?? 0) + 1
    }
    let bucket = 0
    while (rank >= (counts[bucket] ?? 0)) {
      rank -= counts[bucket] ?? 0
      bucket += 1
    }
    candidates = candidates.filter((_, i) => keys[i] === bucket)
  }
  return candidates[0] ?? 0
}

/**
 * The same of numbers of 0 or more that `visit` hands out as often as it is asked, always the same ones, so that none of them is kept: a
 * digit of 16 bits for each time.
 */
export const kthSmallestOf = (visit: (take: (value: number) => void) => void, k: number): number => {
  const scratch = new DataView(new ArrayBuffer(8))
  const found = new Uint16Array(4)
  let rank = k
  for (let digit = 0; digit < 4; digit++) {
    const counts = new Float64Array(digits)
    visit((value) => {
      scratch.setFloat64(0, value)
      for (let d = 0; d < digit; d++) if (scratch.getUint16(2 * d) !== found[d]) return
      const key = scratch.getUint16(2 * digit)
      counts[key] = (counts[key] ?? 0) + 1
    })
    let bucket = 0
    while (bucket < digits && rank >= (counts[bucket] ?? 0)) rank -= counts[bucket++] ?? 0
    invariant(bucket < digits, `the smallest but ${k} of fewer numbers`)
    found[digit] = bucket
  }
  found.forEach((bits, d) => scratch.setUint16(2 * d, bits))
  return scratch.getFloat64(0)
}
