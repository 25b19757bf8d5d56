import { unary } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'

/** Hyperbolic sine. */
export const Sinh = { ...unary('Sinh', [9, Infinity], Math.sinh), float32: leavesRange }
