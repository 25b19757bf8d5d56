/** Random numbers whose generator is plain data, so that a checkpoint continues with the numbers that would have come. */
import { uniformNumbers } from '../../masks/random.ts'

/** The four 32-bit words of xoshiro128** (Blackman and Vigna). Never written to after it was made. */
export type RandomState = Uint32Array

export const seededRandom = (seed: number): RandomState => {
  const uniform = uniformNumbers(seed)
  const words = Uint32Array.from({ length: 4 }, () => uniform() * 2 ** 32)
  return words.some((word) => word !== 0) ? words : Uint32Array.of(1, 0, 0, 0)
}

/** Draws from a state on; local to one computation. */
export interface Draws {
  /** A number in [0, 1). */
  readonly next: () => number
  /** Where the generator stands now. */
  readonly state: () => RandomState
}

const rotate = (x: number, by: number): number => (x << by) | (x >>> (32 - by))

export const drawsFrom = (state: RandomState): Draws => {
  let [a = 0, b = 0, c = 0, d = 0] = state
  return {
    next: () => {
      const word = Math.imul(rotate(Math.imul(b, 5), 7), 9) >>> 0
      const t = b << 9
      c ^= a
      d ^= b
      b ^= c
      a ^= d
      c ^= t
      d = rotate(d, 11)
      return word / 2 ** 32
    },
    state: () => Uint32Array.of(a, b, c, d),
  }
}
