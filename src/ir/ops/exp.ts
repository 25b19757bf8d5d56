import { unary } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'

/** Exponential, `e^x`. */
export const Exp = { ...unary('Exp', [6, Infinity], Math.exp), float32: leavesRange }
