/** Exact selection of the weights with the smallest or largest magnitudes over many arrays, none of them copied. */

/** One array to select from. `codes` belongs to the update at hand, which may write to it. */
export interface Pool {
  readonly scores: Float32Array
  readonly codes: Uint8Array
}

const magnitudeBits = 0x7fffffff
const infinityBits = 0x7f800000
const lowBits = 15
const lowMask = (1 << lowBits) - 1

/** The bits of the magnitudes, which as whole numbers are in the order of the magnitudes. */
const bitsOf = (scores: Float32Array): Uint32Array => new Uint32Array(scores.buffer, scores.byteOffset, scores.length)

/**
 * Gives the `count` elements with the lowest or highest |score|, among those whose code has one of the bits `eligible`, the
 * code that `to` makes of theirs. Over all pools at once, exactly `count` (or all, if there are fewer), ties in the
 * order of pools and positions. A NaN is worth as little as a zero. Returns how many each pool gave.
 *
 * Radix selection on the bits of the float32 magnitudes, 16 and then 15 of them: three scans, whatever the values.
 */
export const selectByMagnitude = (
  pools: ReadonlyArray<Pool>,
  eligible: number,
  count: number,
  end: 'lowest' | 'highest',
  to: (from: number) => number,
): ReadonlyArray<number> => {
  if (count <= 0) return pools.map(() => 0)
  // Complemented, the highest magnitudes are the lowest keys.
  const flip = end === 'lowest' ? 0 : magnitudeBits
  const high = new Uint32Array(2 ** (31 - lowBits))
  for (const pool of pools) countHigh(pool, eligible, flip, high)
  const bucket = descend(high, count)
  const low = new Uint32Array(2 ** lowBits)
  for (const pool of pools) countLow(pool, eligible, flip, bucket.index, low)
  const place = descend(low, bucket.left)
  const threshold = bucket.index * 2 ** lowBits + place.index
  let ties = place.left
  const moves = Uint8Array.from({ length: 256 }, (_, from) => to(from))
  return pools.map((pool) => {
    const taken = move(pool, eligible, flip, threshold, ties, moves)
    ties -= taken.ties
    return taken.count
  })
}

/** The bucket that holds the element of rank `count`, counted from 1, and its rank within it; beyond all, the last one. */
const descend = (counts: Uint32Array, count: number): { readonly index: number; readonly left: number } => {
  let left = count
  for (let index = 0; index < counts.length; index++) {
    const here = counts[index] ?? 0
    if (left <= here) return { index, left }
    left -= here
  }
  return { index: counts.length - 1, left: counts.at(-1) ?? 0 }
}

const countHigh = ({ scores, codes }: Pool, eligible: number, flip: number, counts: Uint32Array): void => {
  const bits = bitsOf(scores)
  for (let i = 0; i < codes.length; i++) {
    if (((codes[i] ?? 0) & eligible) === 0) continue
    const magnitude = (bits[i] ?? 0) & magnitudeBits
    const key = ((magnitude > infinityBits ? 0 : magnitude) ^ flip) >>> lowBits
    counts[key] = (counts[key] ?? 0) + 1
  }
}

const countLow = (
  { scores, codes }: Pool,
  eligible: number,
  flip: number,
  bucket: number,
  counts: Uint32Array,
): void => {
  const bits = bitsOf(scores)
  for (let i = 0; i < codes.length; i++) {
    if (((codes[i] ?? 0) & eligible) === 0) continue
    const magnitude = (bits[i] ?? 0) & magnitudeBits
    const key = (magnitude > infinityBits ? 0 : magnitude) ^ flip
    if (key >>> lowBits === bucket) counts[key & lowMask] = (counts[key & lowMask] ?? 0) + 1
  }
}

/** Recodes the elements below the threshold and the first `ties` of those at it. */
const move = (
  { scores, codes }: Pool,
  eligible: number,
  flip: number,
  threshold: number,
  ties: number,
  moves: Uint8Array,
): { readonly count: number; readonly ties: number } => {
  const bits = bitsOf(scores)
  let [count, tied] = [0, 0]
  for (let i = 0; i < codes.length; i++) {
    const from = codes[i] ?? 0
    if ((from & eligible) === 0) continue
    const magnitude = (bits[i] ?? 0) & magnitudeBits
    const key = (magnitude > infinityBits ? 0 : magnitude) ^ flip
    if (key > threshold) continue
    if (key === threshold) {
      if (tied === ties) continue
      tied += 1
    }
    codes[i] = moves[from] ?? 0
    count += 1
  }
  return { count, ties: tied }
}
