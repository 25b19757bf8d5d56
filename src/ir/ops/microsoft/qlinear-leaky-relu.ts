import { float } from '../../attributes.ts'
import { quantizedElements } from '../../families/quantized-elements.ts'

/** `x` where it is positive, else `alpha · x`, of a quantized tensor. Ports: X, its scale and zero, scale and zero of the result. */
export const QLinearLeakyRelu = quantizedElements<'com.microsoft.QLinearLeakyRelu', { readonly alpha: number }>(
  'com.microsoft.QLinearLeakyRelu',
  {
    schema: { alpha: float(0.01) },
    operands: [{ port: 0, scale: 1, zero: 2 }],
    output: { scale: 3, zero: 4 },
    compute: ({ alpha }, x = 0) => (x >= 0 ? x : alpha * x),
  },
)
