import { unary } from '../families/elementwise.ts'

/** The least integer that is not less. */
export const Ceil = unary('Ceil', [6, Infinity], Math.ceil, { total: true, jumps: true })
