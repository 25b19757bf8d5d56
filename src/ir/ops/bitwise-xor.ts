import { binary } from '../families/elementwise.ts'

/** Bitwise exclusive-or of integers, with broadcasting. */
export const BitwiseXor = binary('BitwiseXor', [18, Infinity], (a, b) => a ^ b, {
  tracked: false,
  wide: (a, b) => a ^ b,
})
