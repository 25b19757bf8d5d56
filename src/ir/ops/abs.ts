import { unary } from '../families/elementwise.ts'

/** `|x|`. */
export const Abs = unary('Abs', [6, Infinity], Math.abs, {
  total: true,
  integers: true,
  wide: (x) => (x < 0n ? -x : x),
})
