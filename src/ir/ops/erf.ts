import { unary } from '../families/elementwise.ts'
import { erf } from '../special-functions.ts'

/** Error function. */
export const Erf = unary('Erf', [9, Infinity], erf, { total: true, integers: true })
