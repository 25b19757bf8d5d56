import { variadic } from '../families/variadic.ts'
import { sumOf } from '../special-functions.ts'

/** Mean of its operands, with broadcasting. */
export const Mean = variadic('Mean', [6, Infinity], (xs) => sumOf(xs) / xs.length)
