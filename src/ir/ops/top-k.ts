import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { type Dim, isStatic, normalizeAxis, tensorType, unknownDim } from '../type.ts'

export interface TopKAttributes {
  readonly axis: number
  /** Before it became an input with opset 10. */
  readonly k: number | undefined
  readonly largest: number
  readonly sorted: number
}

/** The `k` largest or smallest elements along an axis and where they were. Not evaluated: ties are for the runtime. */
export const TopK = defineOp<'TopK', TopKAttributes>({
  name: 'TopK',
  versions: [1, Infinity],
  schema: { axis: int(-1), k: optionalInt, largest: int(1), sorted: int(1) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const { dtype, shape } = x.right
    if (shape === undefined) return E.right([tensorType(dtype, undefined), tensorType('int64', undefined)])
    const axis = normalizeAxis(ctx.attrs.axis, shape.length)
    if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} of a rank-${shape.length} tensor`)
    const given = ctx.opset < 10 ? ctx.attrs.k : ctx.content(1)?.[0]
    const k: Dim = given !== undefined && isKnownElement(given) ? given : unknownDim(ctx.outputNames[0] ?? '', axis)
    const sizes = shape.map((dim, a) => (a === axis ? k : dim))
    return E.right([tensorType(dtype, sizes), tensorType('int64', sizes)])
  },
  links: (ctx) => {
    const shape = inputShape(ctx, 0) ?? []
    const along = normalizeAxis(ctx.attrs.axis, shape.length)
    const outputs = [0, 1].filter((output) => Boolean(ctx.outputNames[output]))
    return shape.flatMap((dim, axis) =>
      isStatic(dim) && axis !== along ? outputs.map((output) => sameIndex(0, axis, output, axis)) : [],
    )
  },
})
