import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { sumsSquares } from '../families/half-precision.ts'
import { normaliseOver } from '../families/normalization.ts'
import { normalizeAxes } from '../families/reduction.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { sumOf } from '../special-functions.ts'
import { tensorOf } from '../tensor.ts'

interface MeanVarianceNormalizationAttributes {
  /** Default 0, 2, 3. */
  readonly axes: ReadonlyArray<number> | undefined
}

const normalisedAxes = (
  ctx: InferContext<MeanVarianceNormalizationAttributes>,
  rank: number,
): ReadonlySet<number> | undefined => normalizeAxes(ctx.attrs.axes ?? [0, 2, 3], rank)

/** `(x - mean) / (√variance + 1e-9)`, mean and variance over `axes`. */
export const MeanVarianceNormalization = defineOp<'MeanVarianceNormalization', MeanVarianceNormalizationAttributes>({
  name: 'MeanVarianceNormalization',
  versions: [9, Infinity],
  float32: sumsSquares,
  schema: { axes: optionalInts },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const { shape } = x.right
    return shape !== undefined && normalisedAxes(ctx, shape.length) === undefined
      ? E.left(`axes of a rank-${shape.length} tensor`)
      : E.right([x.right])
  },
  links: (ctx) => {
    const axes = normalisedAxes(ctx, inputShape(ctx, 0)?.length ?? 0)
    return axes === undefined ? [] : sameAxes(ctx, (axis) => !axes.has(axis))
  },
  // No constant is known of equal numbers: ONNX Runtime adds no epsilon, and divides 0 by 0.
  squares: true,
  evaluate: (ctx, [x]) => {
    const axes = x && normalisedAxes(ctx, x.shape.length)
    if (!x || !axes || !isFloat(x.dtype)) return undefined
    const values = normaliseOver(x, axes, (group) => {
      const mean = sumOf(group) / group.length
      const deviation = Math.sqrt(sumOf(group.map((v) => (v - mean) ** 2)) / group.length)
      return group.map((v) => (v - mean) / (deviation + 1e-9))
    })
    return [tensorOf(x.dtype, x.shape, values)]
  },
})
