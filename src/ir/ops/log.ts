import { unary } from '../families/elementwise.ts'

/** Natural logarithm, of positive numbers. */
export const Log = unary('Log', [6, Infinity], Math.log)
