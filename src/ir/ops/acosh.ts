import { unary } from '../families/elementwise.ts'

/** Inverse hyperbolic cosine, of numbers from 1. */
export const Acosh = unary('Acosh', [9, Infinity], Math.acosh, { jumps: true })
