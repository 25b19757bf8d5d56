import { unary } from '../../families/elementwise.ts'
import { erf } from '../../special-functions.ts'

/** `x/2 · (1 + erf(x/√2))`. */
export const Gelu = unary('com.microsoft.Gelu', [1, 1], (x) => 0.5 * x * (1 + erf(x / Math.SQRT2)), {
  accurateTo: Math.abs,
})
