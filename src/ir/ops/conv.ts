import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { type ConvolutionAttributes, convolutionChannels } from '../families/convolution.ts'
import { convolve, distinctWindows, isUnpadded, samplingOf, windowOutput, withPadding } from '../families/window.ts'
import { sharedDtype, unknownShape } from '../infer.ts'
import { countOf, inputShape, outputShape, shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic, sizeOf, tensorType, unknownDim } from '../type.ts'

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
  ...convolutionChannels<ConvolutionAttributes>({
    grouped: 'input',
    uniform: isUnpadded,
    sampling: samplingOf,
    convolve: (x, w, attrs) => convolve(x, w, undefined, attrs, attrs.group),
  }),
  inferTypes: (ctx) => {
    const dtype = sharedDtype(ctx, [0, 1])
    if (E.isLeft(dtype)) return dtype
    const [name = ''] = ctx.outputNames
    const rank = shapeOf(ctx.inputs[0])?.length ?? shapeOf(ctx.inputs[1])?.length
    if (rank === undefined) return E.right([tensorType(dtype.right, undefined)])
    const x = shapeOf(ctx.inputs[0]) ?? unknownShape(name, rank)
    const w = shapeOf(ctx.inputs[1]) ?? [unknownDim(name, 1), ...unknownShape(`${name}.w`, rank).slice(1)]
    const [batch, into, ...spatial] = x
    const [channels, read, ...kernel] = w
    if (batch === undefined || channels === undefined || w.length !== x.length) {
      return E.left(`input has rank ${x.length} and weight rank ${w.length}`)
    }
    if (isStatic(into) && isStatic(read) && read * ctx.attrs.group !== into) {
      return E.left(`input has ${into} channels, the weight reads ${read} in ${ctx.attrs.group} groups`)
    }
    const sizes = windowOutput(ctx.attrs, spatial, kernel)
    return E.isLeft(sizes) ? sizes : E.right([tensorType(dtype.right, [batch, channels, ...sizes.right])])
  },
  absorbPadding: (ctx, padding) => {
    const pads = withPadding(ctx.attrs, padding)
    return pads && { ...ctx.node, attrs: { ...ctx.attrs, auto_pad: 'NOTSET', pads } }
  },
  evaluate: (ctx, [x, w, b]) => {
    const y = x && w && isFloat(x.dtype) ? convolve(x, w, b, ctx.attrs, ctx.attrs.group) : undefined
    return y && [y]
  },
  macs: (ctx) => countOf(outputShape(ctx)) * countOf(inputShape(ctx, 1)?.slice(1)),
  evaluationMacs: (ctx, [x, w]) => {
    const windows = x && w && distinctWindows(x, ctx.attrs, w.shape.slice(2))
    return (x?.shape[0] ?? 0) * sizeOf(windows?.map(({ first }) => first.length) ?? []) * countOf(w?.shape)
  },
})
