import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'
import { logistic } from '../special-functions.ts'

/** `x / (1 + e^(-alpha · x))`. */
export const Swish = unary('Swish', [24, Infinity], (x, a: { readonly alpha: number }) => x * logistic(a.alpha * x), {
  schema: { alpha: float(1) },
  accurateTo: Math.abs,
})
