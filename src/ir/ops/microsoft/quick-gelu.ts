import { float } from '../../attributes.ts'
import { unary } from '../../families/elementwise.ts'
import { logistic } from '../../special-functions.ts'

/** `x / (1 + e^(-alpha · x))`. */
export const QuickGelu = unary(
  'com.microsoft.QuickGelu',
  [1, 1],
  (x, a: { readonly alpha: number }) => x * logistic(a.alpha * x),
  { schema: { alpha: float(Math.fround(1.702)) }, accurateTo: Math.abs },
)
