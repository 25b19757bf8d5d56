import { unary } from '../families/elementwise.ts'

/** Hyperbolic sine. */
export const Sinh = unary('Sinh', [9, Infinity], Math.sinh)
