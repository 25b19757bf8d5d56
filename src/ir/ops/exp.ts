import { unary } from '../families/elementwise.ts'

/** Exponential, `e^x`. */
export const Exp = unary('Exp', [6, Infinity], Math.exp)
