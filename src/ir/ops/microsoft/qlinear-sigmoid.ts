import { quantizedElements } from '../../families/quantized-elements.ts'

/** `1 / (1 + e^-x)` of a quantized tensor. Ports: X, its scale and zero, scale and zero of the result. */
export const QLinearSigmoid = quantizedElements('com.microsoft.QLinearSigmoid', {
  schema: {},
  operands: [{ port: 0, scale: 1, zero: 2 }],
  output: { scale: 3, zero: 4 },
  compute: (_attrs, x = 0) => 1 / (1 + Math.exp(-x)),
})
