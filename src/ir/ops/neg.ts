import { unary } from '../families/elementwise.ts'

/** `-x`. */
export const Neg = unary('Neg', [6, Infinity], (x) => -x, { total: true, integers: true, wide: (x) => -x })
