import { unary } from '../families/elementwise.ts'

/** `1 / x`. */
export const Reciprocal = unary('Reciprocal', [6, Infinity], (x) => 1 / x)
