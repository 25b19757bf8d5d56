import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { isReal } from '../families/elementwise.ts'
import { coversInput, pool, type PoolAttributes, poolSteps, poolType, staysInside } from '../families/pooling.ts'
import { withPadding } from '../families/window.ts'
import { sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { sumOf } from '../special-functions.ts'

export interface AveragePoolAttributes extends PoolAttributes {
  readonly count_include_pad: number
}

/**
 * Mean of each window of `x[N,C,...]`. Padding is left out of the mean, or counts as zeros with `count_include_pad`, so a
 * constant other than 0 stays one only where padding has no part.
 */
export const AveragePool = defineOp<'AveragePool', AveragePoolAttributes>({
  name: 'AveragePool',
  versions: [7, Infinity],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    ceil_mode: int(0),
    count_include_pad: int(0),
    dilations: optionalInts,
    kernel_shape: optionalInts,
    pads: optionalInts,
    strides: optionalInts,
  },
  inferTypes: (ctx) => {
    const y = poolType(ctx)
    return E.isLeft(y) ? y : E.right([y.right])
  },
  links: (ctx) => sameAxes(ctx, (axis) => axis < 2),
  constant: (ctx, [c]) => {
    if (typeof c !== 'number' || !isReal(ctx) || !coversInput(ctx)) return undefined
    const { attrs } = ctx
    const skipsPadding = attrs.count_include_pad === 0 && attrs.ceil_mode === 0
    return c === 0 || skipsPadding || staysInside(attrs) ? c : undefined
  },
  /**
   * The padding counts as elements, so the pool has to count its own too, or have none; it must not round its output size
   * up, and ONNX Runtime wants its pads smaller than its kernel.
   */
  absorbPadding: (ctx, padding) => {
    const { kernel_shape: kernel = [], ceil_mode, count_include_pad, auto_pad } = ctx.attrs
    const pads = withPadding(ctx.attrs, padding)
    const own = auto_pad === 'VALID' ? [] : (ctx.attrs.pads ?? [])
    const countsPadding = count_include_pad !== 0 || own.every((p) => p === 0)
    if (pads === undefined || ceil_mode !== 0 || !countsPadding) return undefined
    if (pads.some((p, i) => p >= (kernel[i % kernel.length] ?? 0))) return undefined
    return { ...ctx.node, attrs: { ...ctx.attrs, auto_pad: 'NOTSET', pads, count_include_pad: 1 } }
  },
  steps: poolSteps,
  evaluate: (ctx, [x]) => {
    if (!x || !isFloat(x.dtype)) return undefined
    const y = pool(x, ctx.attrs, (values, positions) => {
      const count = ctx.attrs.count_include_pad === 0 ? values.length : positions
      return sumOf(values) / count
    })
    return y && [y]
  },
})
