import { unary } from '../families/elementwise.ts'

/** Every bit of an integer inverted. */
export const BitwiseNot = unary('BitwiseNot', [18, Infinity], (x) => ~x, {
  integers: true,
  tracked: false,
  wide: (x) => ~x,
})
