import { unary } from '../families/elementwise.ts'

/** `x / (1 + |x|)`. */
export const Softsign = unary('Softsign', [1, Infinity], (x) => x / (1 + Math.abs(x)), { total: true })
