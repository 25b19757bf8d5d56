import { variadic } from '../families/variadic.ts'
import { minimumOf } from '../special-functions.ts'

/** Smallest of its operands, with broadcasting. */
export const Min = variadic('Min', [6, Infinity], minimumOf, (xs) => xs.reduce((a, b) => (b < a ? b : a)), true)
