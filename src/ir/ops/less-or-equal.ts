import { comparison } from '../families/elementwise.ts'

/** Whether `a <= b`, with broadcasting. */
export const LessOrEqual = comparison('LessOrEqual', [12, Infinity], (a, b) => a <= b)
