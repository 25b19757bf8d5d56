import { unary } from '../families/elementwise.ts'
import { softplus } from '../special-functions.ts'

/** `log(1 + e^x)`. */
export const Softplus = unary('Softplus', [1, Infinity], softplus, { accurateTo: () => 1 })
