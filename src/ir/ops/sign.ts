import { unary } from '../families/elementwise.ts'

/** -1, 0 or 1. */
export const Sign = unary('Sign', [9, Infinity], Math.sign, {
  total: true,
  integers: true,
  wide: (x) => (x > 0n ? 1n : x < 0n ? -1n : 0n),
  jumps: true,
})
