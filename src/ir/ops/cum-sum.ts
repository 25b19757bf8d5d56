import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { isReal } from '../families/elementwise.ts'
import { leavesRange } from '../families/half-precision.ts'
import { normaliseOver } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { tensorOf } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'

interface CumSumAttributes {
  readonly exclusive: number
  readonly reverse: number
}

/** The axis, a constant scalar on input 1. */
const axisOf = (ctx: InferContext<CumSumAttributes>, rank: number): number | undefined => {
  const [axis] = ctx.content(1) ?? []
  return isStatic(axis) ? normalizeAxis(axis, rank) : undefined
}

/** Sum of the elements up to each along an axis, without the element itself if `exclusive`, from the end if `reverse`. */
export const CumSum = defineOp<'CumSum', CumSumAttributes>({
  name: 'CumSum',
  versions: [11, Infinity],
  float32: leavesRange,
  schema: { exclusive: int(0), reverse: int(0) },
  inferTypes: (ctx) =>
    pipe(
      tensorInput(ctx, 0),
      E.map((type) => [type]),
    ),
  links: (ctx) => {
    const along = axisOf(ctx, inputShape(ctx, 0)?.length ?? 0)
    return along === undefined ? 'opaque' : sameAxes(ctx, (axis) => axis !== along)
  },
  constant: (ctx, [x]) => (x === 0 && isReal(ctx) ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    const along = x && axisOf(ctx, x.shape.length)
    if (!x || along === undefined || !isFloat(x.dtype)) return undefined
    const { exclusive, reverse } = ctx.attrs
    const values = normaliseOver(x, new Set([along]), (line) => {
      const out = new Array<number>(line.length).fill(0)
      let sum = 0
      for (let i = 0; i < line.length; i++) {
        const at = reverse === 0 ? i : line.length - 1 - i
        const before = sum
        sum += line[at] ?? 0
        out[at] = exclusive === 0 ? sum : before
      }
      return out
    })
    return [tensorOf(x.dtype, x.shape, values)]
  },
})
