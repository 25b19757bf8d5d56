import { unary } from '../families/elementwise.ts'

/** Inverse cosine, of numbers in -1 .. 1. */
export const Acos = unary('Acos', [7, Infinity], Math.acos, { jumps: true })
