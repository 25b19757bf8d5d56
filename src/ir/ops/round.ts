import { unary } from '../families/elementwise.ts'
import { roundHalfToEven } from '../special-functions.ts'

/** The nearest integer, halves to the even one. */
export const Round = unary('Round', [11, Infinity], roundHalfToEven, { total: true, jumps: true })
