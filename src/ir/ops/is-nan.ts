import { predicate } from '../families/elementwise.ts'

/** Whether x is not a number. */
export const IsNaN = predicate('IsNaN', [9, Infinity], (x) => Number(Number.isNaN(x)))
