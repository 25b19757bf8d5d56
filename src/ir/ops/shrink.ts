import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'

/** `x + bias` below `-lambd`, `x - bias` above `lambd`, 0 between. */
export const Shrink = unary(
  'Shrink',
  [9, Infinity],
  (x, a: { readonly bias: number; readonly lambd: number }) =>
    x < -a.lambd ? x + a.bias : x > a.lambd ? x - a.bias : 0,
  {
    schema: { bias: float(0), lambd: float(0.5) },
    integers: true,
    jumps: true,
  },
)
