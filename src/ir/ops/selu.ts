import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `gamma · x` above 0, else `gamma · alpha · (e^x - 1)`. */
export const Selu = unary(
  'Selu',
  [6, Infinity],
  (x, a: { readonly alpha: number; readonly gamma: number }) =>
    x > 0 ? a.gamma * x : a.gamma * a.alpha * Math.expm1(x),
  {
    accurateTo: (x, a) => (x < 0 ? Math.abs(a.gamma * a.alpha) : 0),
    schema: { alpha: float(1.67326319217681884765625), gamma: float(1.05070102214813232421875) },
  },
)
