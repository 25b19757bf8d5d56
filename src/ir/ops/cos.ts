import { unary } from '../families/elementwise.ts'

/** Cosine. */
export const Cos = unary('Cos', [7, Infinity], Math.cos, { total: true })
