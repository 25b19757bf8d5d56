import { unary } from '../families/elementwise.ts'

/** Inverse hyperbolic sine. */
export const Asinh = unary('Asinh', [9, Infinity], Math.asinh)
