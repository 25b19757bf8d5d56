import { unary } from '../families/elementwise.ts'

/** Inverse tangent. */
export const Atan = unary('Atan', [7, Infinity], Math.atan, { total: true })
