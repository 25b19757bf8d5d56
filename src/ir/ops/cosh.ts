import { unary } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'

/** Hyperbolic cosine. */
export const Cosh = { ...unary('Cosh', [9, Infinity], Math.cosh), float32: leavesRange }
