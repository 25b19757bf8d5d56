import { unary } from '../families/elementwise.ts'

/** Hyperbolic tangent. */
export const Tanh = unary('Tanh', [6, Infinity], Math.tanh, { total: true })
