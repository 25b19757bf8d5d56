import { variadic } from '../families/variadic.ts'
import { maximumOf } from '../special-functions.ts'

/** Largest of its operands, with broadcasting. */
export const Max = variadic('Max', [6, Infinity], maximumOf, (xs) => xs.reduce((a, b) => (b > a ? b : a)), true)
