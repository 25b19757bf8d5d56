import type { ConvolutionAttributes } from '../families/convolution.ts'
import { integerConvolution, integerSums } from '../families/integer-convolution.ts'
import { requantized } from '../families/integer-products.ts'
import { dtypeOf } from '../families/movement.ts'
import { defineOp } from '../op.ts'
import { sizeOf } from '../type.ts'
import { Conv } from './conv.ts'

/**
 * A convolution of quantized tensors: `(Σ_c (x[n,c] - x_zero) ⋆ (W[o,c] - W_zero[o]) + b[o])` rounded from multiples of
 * `x_scale · W_scale[o]` to those of `y_scale`. Ports: x, its scale and zero, W, its scale and zero, scale and zero of y, b.
 */
export const QLinearConv = defineOp<'QLinearConv', ConvolutionAttributes>({
  name: 'QLinearConv',
  versions: [10, Infinity],
  ...integerConvolution<ConvolutionAttributes>(
    {
      x: { port: 0, scale: 1, zero: 2 },
      weight: { port: 3, scale: 4, zero: 5 },
      output: { scale: 6, zero: 7 },
      bias: 8,
    },
    Conv.schema,
    (ctx) => dtypeOf(ctx.inputs[7]),
  ),
  evaluate: (ctx, [x, xScale, xZero, weight, weightScale, weightZero, scale, zero, bias]) => {
    if (!x || !weight || !xScale || !weightScale || !scale || !zero) return undefined
    const sums = integerSums(ctx.attrs, [x, xZero], [weight, weightZero], bias)
    if (sums === undefined) return undefined
    const [channels, inner] = [sums.shape[1] ?? 1, sizeOf(sums.shape.slice(2))]
    return [requantized(sums, [xScale, weightScale, scale], zero, (place) => Math.floor(place / inner) % channels)]
  },
})
