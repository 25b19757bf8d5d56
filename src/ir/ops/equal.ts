import { comparison } from '../families/elementwise.ts'

/** Whether `a === b`, with broadcasting. */
export const Equal = comparison('Equal', [7, Infinity], (a, b) => a === b)
