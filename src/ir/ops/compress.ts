import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../attributes.ts'
import { move, numbersOf, stridesOf } from '../evaluate.ts'
import { movedType } from '../families/movement.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { sizeOf, type Shape, normalizeAxis, unknownDim } from '../type.ts'

export interface CompressAttributes {
  /** The input is flattened where it is absent. */
  readonly axis: number | undefined
}

const axisOf = (ctx: InferContext<CompressAttributes>, from: Shape | undefined): number | undefined =>
  ctx.attrs.axis === undefined || from === undefined ? undefined : normalizeAxis(ctx.attrs.axis, from.length)

/** Keeps the indices along an axis for which the condition holds; beyond its end it does not. */
export const Compress = defineOp<'Compress', CompressAttributes>({
  name: 'Compress',
  versions: [9, Infinity],
  schema: { axis: optionalInt },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const name = ctx.outputNames[0] ?? ''
      if (ctx.attrs.axis === undefined) return E.right([unknownDim(name, 0)])
      const axis = axisOf(ctx, from)
      if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} of rank ${from.length}`)
      return E.right(from.map((dim, a) => (a === axis ? unknownDim(name, a) : dim)))
    }),
  links: (ctx) => {
    const axis = axisOf(ctx, inputShape(ctx, 0))
    return axis === undefined ? 'opaque' : sameAxes(ctx, (a) => a !== axis)
  },
  constant: (_ctx, [x]) => x ?? undefined,
  evaluate: (ctx, [x, condition]) => {
    if (!x || !condition) return undefined
    const axis = axisOf(ctx, x.shape)
    const limit = axis === undefined ? sizeOf(x.shape) : (x.shape[axis] ?? 0)
    const kept = [...numbersOf(condition).entries()].flatMap(([i, holds]) => (holds !== 0 && i < limit ? [i] : []))
    const strides = axis === undefined ? [1] : stridesOf(x.shape)
    const shape = axis === undefined ? [kept.length] : x.shape.map((d, a) => (a === axis ? kept.length : d))
    const y = move(x, shape, (index) =>
      strides.reduce(
        (at, stride, a) => at + (a === (axis ?? 0) ? (kept[index[a] ?? 0] ?? 0) : (index[a] ?? 0)) * stride,
        0,
      ),
    )
    return y && [y]
  },
})
