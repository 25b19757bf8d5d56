import { comparison } from '../families/elementwise.ts'

/** Whether `a >= b`, with broadcasting. */
export const GreaterOrEqual = comparison('GreaterOrEqual', [12, Infinity], (a, b) => a >= b)
