import { binary } from '../families/elementwise.ts'

/** Whether one is true, with broadcasting. */
export const Or = binary('Or', [7, Infinity], (a, b) => a | b, { tracked: false })
