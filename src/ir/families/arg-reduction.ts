/** Constructor for ArgMax and ArgMin. */
import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { isWide } from '../dtype.ts'
import { numbersOf } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { inputShape } from '../links.ts'
import { defineOp, type InferContext, type OpDef } from '../op.ts'
import { isNumeric, tensorOf } from '../tensor.ts'
import { normalizeAxis, tensorType } from '../type.ts'
import { collect, keptLinks, reducedShape } from './reduction.ts'

export interface ArgReductionAttributes {
  readonly axis: number
  readonly keepdims: number
  readonly select_last_index: number
}

/** The index along `axis` of the element that is `better` than all others, int64; of equal ones the first or last. */
export const argReduction = <const Name extends string>(
  name: Name,
  better: (a: number, b: number) => boolean,
): OpDef<Name, ArgReductionAttributes> => {
  const reducedOf = (ctx: InferContext<ArgReductionAttributes>, rank: number): ReadonlySet<number> | undefined => {
    const axis = normalizeAxis(ctx.attrs.axis, rank)
    return axis === undefined ? undefined : new Set([axis])
  }
  return defineOp<Name, ArgReductionAttributes>({
    name,
    versions: [1, Infinity],
    schema: { axis: int(0), keepdims: int(1), select_last_index: int(0) },
    inferTypes: (ctx) => {
      const x = tensorInput(ctx, 0)
      if (E.isLeft(x)) return x
      const { shape } = x.right
      if (shape === undefined) return E.right([tensorType('int64', undefined)])
      const reduced = reducedOf(ctx, shape.length)
      if (reduced === undefined) return E.left(`axis ${ctx.attrs.axis} of a rank-${shape.length} tensor`)
      return E.right([tensorType('int64', reducedShape(shape, reduced, ctx.attrs.keepdims !== 0))])
    },
    links: (ctx) => {
      const shape = inputShape(ctx, 0)
      const reduced = shape && reducedOf(ctx, shape.length)
      return shape && reduced ? keptLinks(shape, reduced, ctx.attrs.keepdims !== 0) : []
    },
    evaluate: (ctx, [x]) => {
      const reduced = x && reducedOf(ctx, x.shape.length)
      if (!x || !reduced || !isNumeric(x.dtype) || isWide(x.dtype)) return undefined
      const last = ctx.attrs.select_last_index !== 0
      const indices = collect(x, numbersOf(x), reduced).map((values) => {
        let at = 0
        values.forEach((v, i) => {
          const best = values[at] ?? NaN
          if (better(v, best) || (last && v === best)) at = i
        })
        return at
      })
      return [tensorOf('int64', reducedShape(x.shape, reduced, ctx.attrs.keepdims !== 0), indices)]
    },
  })
}
