import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `max(0, min(1, alpha · x + beta))`. */
export const HardSigmoid = unary(
  'HardSigmoid',
  [6, Infinity],
  (x, a: { readonly alpha: number; readonly beta: number }) => Math.max(0, Math.min(1, a.alpha * x + a.beta)),
  {
    schema: { alpha: float(Math.fround(0.2)), beta: float(0.5) },
  },
)
