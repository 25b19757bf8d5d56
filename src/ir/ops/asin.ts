import { unary } from '../families/elementwise.ts'

/** Inverse sine, of numbers in -1 .. 1. */
export const Asin = unary('Asin', [7, Infinity], Math.asin, { jumps: true })
