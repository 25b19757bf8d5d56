/**
 * Random numbers that are the same on every machine: integers of 32 bits, and real numbers by operations that IEEE 754
 * rounds exactly. The generator is plain data, so that a checkpoint continues with the numbers that would have come.
 */
import { invariant } from './failure.ts'

/** The four 32-bit words of xoshiro128** (Blackman and Vigna), not all zero. Never written to after it was made. */
export type RandomState = Uint32Array

/** Draws from a state on; local to one computation. */
export interface Draws {
  /** A number in [0, 1), a multiple of 2⁻³². */
  readonly next: () => number
  /** A whole number from 0 to `limit` - 1, all equally likely; `limit` is at most 2³². */
  readonly below: (limit: number) => number
  /** A standard normal number. */
  readonly normal: () => number
  /** An exponential number of mean 1, above 0. */
  readonly exponential: () => number
  /** Where the generator stands now. */
  readonly state: () => RandomState
}

/**
 * The generator of `seed`, an integer of which the low 32 bits count. Another `stream`, say the name of a weight, gives
 * numbers that have nothing to do with those of the first.
 */
export const seededRandom = (seed: number, stream = ''): RandomState => {
  const words = splitmix(stream === '' ? seed : hash(splitmix(seed)(), stream))
  const state = Uint32Array.from({ length: 4 }, words)
  return state.some((word) => word !== 0) ? state : Uint32Array.of(1, 0, 0, 0)
}

export const drawsFrom = (state: RandomState): Draws => {
  let [a = 0, b = 0, c = 0, d = 0] = state
  const word = (): number => {
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
  const next = (): number => word() / words
  return {
    next,
    below: (limit) => {
      invariant(limit >= 1 && limit <= words, 'a random number below less than 1 or more than 2³²')
      const fair = words - (words % limit)
      for (;;) {
        const drawn = word()
        if (drawn < fair) return drawn % limit
      }
    },
    normal: () => {
      // Marsaglia's polar method; the second number of each pair is not kept, so that the state is four words.
      for (;;) {
        const u = 2 * next() - 1
        const v = 2 * next() - 1
        const square = u * u + v * v
        if (square > 0 && square < 1) return u * Math.sqrt((-2 * logarithm(square)) / square)
      }
    },
    exponential: () => {
      for (;;) {
        const u = next()
        if (u > 0) return -logarithm(u)
      }
    },
    state: () => Uint32Array.of(a, b, c, d),
  }
}

/** How many values a word has. */
const words = 2 ** 32

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

/** splitmix32: words that fill a state. */
const splitmix = (seed: number): (() => number) => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let x = state
    x = Math.imul(x ^ (x >>> 16), 0x21f0aaad)
    x = Math.imul(x ^ (x >>> 15), 0x735a2d97)
    return (x ^ (x >>> 15)) >>> 0
  }
}

/** FNV-1a over the UTF-16 units of `text`. */
const hash = (start: number, text: string): number => {
  let state = start
  for (let i = 0; i < text.length; i++) state = Math.imul(state ^ text.charCodeAt(i), 0x01000193) >>> 0
  return state
}

/**
 * Natural logarithm of a number in (0, 1), by `2 · Σ z^(2k+1) / (2k+1)` with `z = (m - 1) / (m + 1)`, `m` within √2 of 1.
 * Math.log may round differently from one engine to the next.
 */
const logarithm = (x: number): number => {
  let mantissa = x
  let exponent = 0
  while (mantissa < Math.SQRT1_2) {
    mantissa *= 2
    exponent -= 1
  }
  const z = (mantissa - 1) / (mantissa + 1)
  const square = z * z
  let sum = 0
  for (let k = 21; k >= 1; k -= 2) sum = sum * square + 1 / k
  return 2 * z * sum + exponent * Math.LN2
}
