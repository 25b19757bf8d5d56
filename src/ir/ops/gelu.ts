import { string } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'
import { erf } from '../special-functions.ts'

/** `x/2 · (1 + erf(x/√2))`, or its approximation by tanh. */
export const Gelu = unary(
  'Gelu',
  [20, Infinity],
  (x, a: { readonly approximate: 'none' | 'tanh' }) =>
    a.approximate === 'tanh'
      ? 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))
      : 0.5 * x * (1 + erf(x / Math.SQRT2)),
  {
    accurateTo: Math.abs,
    schema: { approximate: string('none', 'tanh') },
  },
)
