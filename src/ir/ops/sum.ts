import { variadic } from '../families/variadic.ts'
import { sumOf } from '../special-functions.ts'

/** Sum of its operands, with broadcasting. */
export const Sum = variadic('Sum', [6, Infinity], sumOf)
