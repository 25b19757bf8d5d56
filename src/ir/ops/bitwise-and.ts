import { binary } from '../families/elementwise.ts'

/** Bitwise and of integers, with broadcasting. */
export const BitwiseAnd = binary('BitwiseAnd', [18, Infinity], (a, b) => a & b, {
  tracked: false,
  wide: (a, b) => a & b,
})
