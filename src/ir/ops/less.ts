import { comparison } from '../families/elementwise.ts'

/** Whether `a < b`, with broadcasting. */
export const Less = comparison('Less', [7, Infinity], (a, b) => a < b)
