import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { finite, outputPrecision } from '../families/elementwise.ts'
import { sumsSquares } from '../families/half-precision.ts'
import { normaliseOver } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { norm, normOfEqual } from '../special-functions.ts'
import { tensorOf } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'

/** `x / (Σ |x|^p)^(1/p)` along an axis; zeros stay zeros. */
export const LpNormalization = defineOp<'LpNormalization', { readonly axis: number; readonly p: number }>({
  name: 'LpNormalization',
  versions: [1, Infinity],
  float32: sumsSquares,
  schema: { axis: int(-1), p: int(2) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const rank = x.right.shape?.length
    if (rank !== undefined && normalizeAxis(ctx.attrs.axis, rank) === undefined) {
      return E.left(`axis ${ctx.attrs.axis} of a rank-${rank} tensor`)
    }
    return E.right([x.right])
  },
  links: (ctx) => {
    const along = normalizeAxis(ctx.attrs.axis, inputShape(ctx, 0)?.length ?? 0)
    return sameAxes(ctx, (axis) => axis !== along)
  },
  statistics: (ctx) => {
    const shape = inputShape(ctx, 0) ?? []
    const axis = normalizeAxis(ctx.attrs.axis, shape.length)
    if (axis === undefined || !isStatic(shape[axis])) return []
    return [{ port: 0, axis, groups: 1, links: [sameIndex(0, axis, 0, axis)], leaves: (c) => c === 0, isPadded: false }]
  },
  constant: (ctx, [x], _output, axis) => {
    const shape = inputShape(ctx, 0) ?? []
    const along = normalizeAxis(ctx.attrs.axis, shape.length) ?? -1
    const count = shape[along]
    const precision = outputPrecision(ctx)
    // A channel of the normalised axis is divided by the length of all of them.
    if (typeof x !== 'number' || precision === undefined || (axis === along && x !== 0)) return undefined
    const length = isStatic(count) ? normOfEqual(x, count, ctx.attrs.p, precision) : undefined
    return x === 0 ? 0 : length === undefined ? undefined : finite(x / length)
  },
  squares: true,
  evaluate: (ctx, [x]) => {
    const axis = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || axis === undefined || !isFloat(x.dtype)) return undefined
    const values = normaliseOver(x, new Set([axis]), (group) => {
      const length = norm(group, ctx.attrs.p)
      return length === 0 ? group : group.map((v) => v / length)
    })
    return [tensorOf(x.dtype, x.shape, values)]
  },
})
