import { unary } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'

/** `1 / x`. */
export const Reciprocal = { ...unary('Reciprocal', [6, Infinity], (x) => 1 / x), float32: leavesRange }
