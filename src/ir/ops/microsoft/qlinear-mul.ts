import { quantizedElements } from '../../families/quantized-elements.ts'

/** The product of two quantized tensors. Ports: A, its scale and zero, B, its scale and zero, scale and zero of the product. */
export const QLinearMul = quantizedElements('com.microsoft.QLinearMul', {
  schema: {},
  operands: [
    { port: 0, scale: 1, zero: 2 },
    { port: 3, scale: 4, zero: 5 },
  ],
  output: { scale: 6, zero: 7 },
  compute: (_attrs, a = 0, b = 0) => a * b,
})
