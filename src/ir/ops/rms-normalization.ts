import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate } from '../evaluate.ts'
import { finite, outputPrecision } from '../families/elementwise.ts'
import { axesFrom, broadcastAt, normaliseOver } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { broadcastLinks, inputShape, sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { sumOf } from '../special-functions.ts'
import { normalizeAxis } from '../type.ts'

export interface RMSNormalizationAttributes {
  readonly axis: number
  readonly epsilon: number
  readonly stash_type: number
}

/** `y = x / √(mean(x²) + epsilon) · scale`, the mean over the axes from `axis` on; the scale broadcasts to `x`. */
export const RMSNormalization = defineOp<'RMSNormalization', RMSNormalizationAttributes>({
  name: 'RMSNormalization',
  versions: [23, Infinity],
  schema: { axis: int(-1), epsilon: float(Math.fround(1e-5)), stash_type: int(1) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const rank = x.right.shape?.length
    if (rank !== undefined && normalizeAxis(ctx.attrs.axis, rank) === undefined) {
      return E.left(`axis ${ctx.attrs.axis} of a rank-${rank} tensor`)
    }
    const scale = ctx.inputs[1]
    return E.right([scale?.kind === 'tensor' ? { ...x.right, dtype: scale.dtype } : x.right])
  },
  links: (ctx) => {
    const first = normalizeAxis(ctx.attrs.axis, inputShape(ctx, 0)?.length ?? 0) ?? 0
    return [
      ...sameAxes(ctx, (axis) => axis < first),
      ...broadcastLinks(ctx, [1]).filter((link) => link.outputAxis < first),
    ]
  },
  constant: (ctx, [x, scale]) => {
    const precision = outputPrecision(ctx)
    const { epsilon } = ctx.attrs
    if (precision === undefined) return undefined
    if (scale === 0 || (x === 0 && epsilon > 0)) return 0
    if (typeof x !== 'number' || typeof scale !== 'number') return undefined
    // Squares that leave the normal numbers of the type, or whose sum does, give something else.
    const { normal, largest } = precision
    if ((x * x < normal && epsilon < normal) || x * x > largest * 2 ** -24) return undefined
    return finite((x / Math.sqrt(x * x + epsilon)) * scale)
  },
  squares: true,
  evaluate: (ctx, [x, scale]) => {
    const first = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || !scale || first === undefined || !isFloat(x.dtype)) return undefined
    const ns = normaliseOver(x, axesFrom(first, x.shape.length), (values) => {
      const root = Math.sqrt(sumOf(values.map((v) => v * v)) / values.length + ctx.attrs.epsilon)
      return values.map((v) => v / root)
    })
    const s = broadcastAt(scale, x.shape.length)
    return [generate(scale.dtype, x.shape, (index, flat) => (ns[flat] ?? 0) * s(index))]
  },
})
