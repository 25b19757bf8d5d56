import { unary } from '../families/elementwise.ts'

/** The greatest integer that is not more. */
export const Floor = unary('Floor', [6, Infinity], Math.floor, { total: true, jumps: true })
