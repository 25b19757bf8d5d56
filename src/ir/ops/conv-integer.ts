import { integerConvolution, integerSums } from '../families/integer-convolution.ts'
import { defineOp } from '../op.ts'
import { type ConvolutionAttributes } from '../families/convolution.ts'
import { elements, tensorOf } from '../tensor.ts'
import { Conv } from './conv.ts'

/** `Σ_c (x[n,c] - x_zero) ⋆ (W[o,c] - W_zero[o])` in int32, of 8-bit integers; padding is `x_zero`. */
export const ConvInteger = defineOp<'ConvInteger', ConvolutionAttributes>({
  name: 'ConvInteger',
  versions: [10, Infinity],
  ...integerConvolution<ConvolutionAttributes>(
    { x: { port: 0, zero: 2 }, weight: { port: 1, zero: 3 } },
    Conv.schema,
    () => 'int32',
  ),
  evaluate: (ctx, [x, weight, xZero, weightZero]) => {
    const sums = x && weight && integerSums(ctx.attrs, [x, xZero], [weight, weightZero])
    return sums && [tensorOf('int32', sums.shape, elements(sums))]
  },
})
