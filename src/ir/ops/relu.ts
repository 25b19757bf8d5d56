import { unary } from '../families/elementwise.ts'

/** `max(x, 0)`. */
export const Relu = unary('Relu', [6, Infinity], (x) => (x < 0 ? 0 : x), {
  total: true,
  integers: true,
  wide: (x) => (x < 0n ? 0n : x),
})
