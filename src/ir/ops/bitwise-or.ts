import { binary } from '../families/elementwise.ts'

/** Bitwise or of integers, with broadcasting. */
export const BitwiseOr = binary('BitwiseOr', [18, Infinity], (a, b) => a | b, { tracked: false, wide: (a, b) => a | b })
