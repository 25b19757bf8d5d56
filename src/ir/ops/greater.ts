import { comparison } from '../families/elementwise.ts'

/** Whether `a > b`, with broadcasting. */
export const Greater = comparison('Greater', [7, Infinity], (a, b) => a > b)
