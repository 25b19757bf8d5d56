import { comparison } from '../families/elementwise.ts'
import { equalSizes } from '../families/size-arithmetic.ts'

/** Whether `a === b`, with broadcasting. */
export const Equal = comparison('Equal', [7, Infinity], (a, b) => a === b, equalSizes)
