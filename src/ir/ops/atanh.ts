import { unary } from '../families/elementwise.ts'

/** Inverse hyperbolic tangent, of numbers between -1 and 1. */
export const Atanh = unary('Atanh', [9, Infinity], Math.atanh, { jumps: true })
