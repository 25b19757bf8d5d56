import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `x` from 0, below it `alpha · (e^x - 1)`. */
export const Elu = unary(
  'Elu',
  [6, Infinity],
  (x, a: { readonly alpha: number }) => (x < 0 ? a.alpha * Math.expm1(x) : x),
  {
    accurateTo: (x, a) => (x < 0 ? Math.abs(a.alpha) : 0),
    schema: { alpha: float(1) },
  },
)
