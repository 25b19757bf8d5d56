import { unary } from '../families/elementwise.ts'
import { logistic } from '../special-functions.ts'

/** `1 / (1 + e^-x)`. */
export const Sigmoid = unary('Sigmoid', [6, Infinity], logistic, { total: true, accurateTo: () => 1 })
