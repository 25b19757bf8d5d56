import { unary } from '../families/elementwise.ts'

/** Hyperbolic cosine. */
export const Cosh = unary('Cosh', [9, Infinity], Math.cosh)
