import { binary } from '../families/elementwise.ts'

/** Whether both are true, with broadcasting. */
export const And = binary('And', [7, Infinity], (a, b) => a * b, { tracked: false })
