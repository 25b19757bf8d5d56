import { unary } from '../families/elementwise.ts'

/** Square root, of numbers from 0. */
export const Sqrt = unary('Sqrt', [6, Infinity], Math.sqrt)
