import { unary } from '../families/elementwise.ts'

/** Whether x is false. */
export const Not = unary('Not', [1, Infinity], (x) => (x === 0 ? 1 : 0), { integers: true, tracked: false })
