import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `x` above `alpha`, else 0. */
export const ThresholdedRelu = unary(
  'ThresholdedRelu',
  [10, Infinity],
  (x, a: { readonly alpha: number }) => (x > a.alpha ? x : 0),
  {
    schema: { alpha: float(1) },
    jumps: true,
  },
)
