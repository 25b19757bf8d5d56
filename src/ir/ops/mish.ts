import { unary } from '../families/elementwise.ts'
import { softplus } from '../special-functions.ts'

/** `x · tanh(log(1 + e^x))`. */
export const Mish = unary('Mish', [18, Infinity], (x) => x * Math.tanh(softplus(x)), { accurateTo: Math.abs })
