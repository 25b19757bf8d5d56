import { unary } from '../families/elementwise.ts'

/** Tangent. */
export const Tan = unary('Tan', [7, Infinity], Math.tan)
