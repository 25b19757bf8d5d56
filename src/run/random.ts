/** Random numbers that are the same on every machine: 32-bit integer arithmetic and exact sums only. */

export interface Random {
  /** A whole number from 0 to 2³² - 1. */
  readonly next: () => number
  /** A whole number from 0 to `below` - 1. */
  readonly below: (below: number) => number
  /** Approximately standard normal: a sum of twelve uniform numbers, so it lies within ±6. */
  readonly gaussian: () => number
}

/** xoshiro128** (Blackman and Vigna), its state filled by splitmix32 from `seed` and the characters of `stream`. */
export const random = (seed: number, stream = ''): Random => {
  let mix = seed >>> 0
  for (let i = 0; i < stream.length; i++) mix = Math.imul(mix ^ stream.charCodeAt(i), 0x01000193) >>> 0
  const splitmix = (): number => {
    mix = (mix + 0x9e3779b9) >>> 0
    let z = mix
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
    return (z ^ (z >>> 16)) >>> 0
  }
  let a = splitmix()
  let b = splitmix()
  let c = splitmix()
  let d = splitmix() | 1
  const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))
  const next = (): number => {
    const result = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
    const t = b << 9
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    d = rotate(d, 11)
    return result
  }
  const below = (limit: number): number => Math.floor((next() / 2 ** 32) * limit)
  const gaussian = (): number => {
    // Twelve times 16 bits out of six draws; integers, so the order of the sum does not matter.
    let sum = 0
    for (let i = 0; i < 6; i++) {
      const bits = next()
      sum += (bits & 0xffff) + (bits >>> 16)
    }
    return (sum + 6) / 65536 - 6
  }
  return { next, below, gaussian }
}
