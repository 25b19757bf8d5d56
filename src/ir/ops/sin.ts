import { unary } from '../families/elementwise.ts'

/** Sine. */
export const Sin = unary('Sin', [7, Infinity], Math.sin, { total: true })
