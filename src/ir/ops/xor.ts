import { binary } from '../families/elementwise.ts'

/** Whether exactly one is true, with broadcasting. */
export const Xor = binary('Xor', [7, Infinity], (a, b) => a ^ b, { tracked: false })
