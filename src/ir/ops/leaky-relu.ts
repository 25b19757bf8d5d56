import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `x` from 0, below it `alpha · x`. */
export const LeakyRelu = unary(
  'LeakyRelu',
  [6, Infinity],
  (x, a: { readonly alpha: number }) => (x < 0 ? a.alpha * x : x),
  {
    schema: { alpha: float(Math.fround(0.01)) },
  },
)
