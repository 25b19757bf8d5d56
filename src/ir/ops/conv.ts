import * as E from 'fp-ts/Either'
import { int, optionalInts, string } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { type ConvolutionAttributes, convolutionChannels } from '../families/convolution.ts'
import { convolve, isUnpadded, windowOutput } from '../families/window.ts'
import { rankedInput, tensorInput } from '../infer.ts'
import { countOf, inputShape, outputShape } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic, tensorType } from '../type.ts'

/**
 * Convolution over spatial axes: `y[n,o] = b[o] + Σ_c x[n,c] ⋆ W[o,c]`, `x[N,C,...]`, `W[M,C/group,...]`, `b[M]`.
 */
export const Conv = defineOp<'Conv', ConvolutionAttributes>({
  name: 'Conv',
  versions: [1, Infinity],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    dilations: optionalInts,
    group: int(1),
    kernel_shape: optionalInts,
    pads: optionalInts,
    strides: optionalInts,
  },
  ...convolutionChannels({ grouped: 'input', uniform: isUnpadded }),
  inferTypes: (ctx) => {
    const [x, w] = [tensorInput(ctx, 0), rankedInput(ctx, 1)]
    if (E.isLeft(w)) return w
    if (E.isLeft(x)) return x
    E
  },
})
