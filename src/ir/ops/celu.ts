import { float } from '../attributes.ts'
import { unary } from '../families/elementwise.ts'
import { notDefined } from '../families/half-precision.ts'

/** `max(0, x) + min(0, alpha · (e^(x/alpha) - 1))`. */
export const Celu = {
  ...unary(
    'Celu',
    [12, 27],
    (x, a: { readonly alpha: number }) => Math.max(0, x) + Math.min(0, a.alpha * Math.expm1(x / a.alpha)),
    {
      accurateTo: (x, a) => (x < 0 ? Math.abs(a.alpha) : 0),
      schema: { alpha: float(1) },
    },
  ),
  float32: notDefined,
}
