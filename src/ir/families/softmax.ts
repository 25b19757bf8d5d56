/** Operators that compare the elements along an axis with each other: Softmax, LogSoftmax, Hardmax. */
import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext, type NodeContext, type OpDef } from '../op.ts'
import { tensorOf } from '../tensor.ts'
import { normalizeAxis } from '../type.ts'
import { finite, isReal } from './elementwise.ts'
import { axesFrom, normaliseOver } from './normalization.ts'
import { countAlong } from './reduction.ts'

export interface SoftmaxAttributes {
  /** Default -1; before opset 13 it was 1, and all axes from it on were one. */
  readonly axis: number | undefined
}

/** The axes whose elements are compared, for an input of rank `rank`. */
const comparedAxes = (ctx: InferContext<SoftmaxAttributes>, rank: number): ReadonlySet<number> | undefined => {
  const { axis } = ctx.attrs
  const at = normalizeAxis(axis ?? (ctx.opset < 13 ? 1 : -1), rank)
  if (at === undefined) return undefined
  return ctx.opset < 13 ? axesFrom(at, rank) : new Set([at])
}

/**
 * `same(n)` is what each of `n` equal elements becomes; absent where that is no constant to rely on. `sumsToOne`: whether what
 * is compared adds up to 1; `isShiftFree`: whether a number that is added to all of it changes nothing.
 */
export const softmax = <const Name extends string>(
  name: Name,
  compute: (values: ReadonlyArray<number>) => ReadonlyArray<number>,
  same?: (count: number) => number,
  { sumsToOne = false, isShiftFree = false } = {},
): OpDef<Name, SoftmaxAttributes> =>
  defineOp<Name, SoftmaxAttributes>({
    name,
    versions: [1, Infinity],
    schema: { axis: optionalInt },
    inferTypes: (ctx) => {
      const x = tensorInput(ctx, 0)
      if (E.isLeft(x)) return x
      const { shape } = x.right
      if (shape !== undefined && comparedAxes(ctx, shape.length) === undefined) {
        return E.left(`axis ${ctx.attrs.axis ?? 'default'} of a rank-${shape.length} tensor`)
      }
      return E.right([x.right])
    },
    links: (ctx) => {
      const axes = comparedAxes(ctx, inputShape(ctx, 0)?.length ?? 0)
      return axes === undefined ? [] : sameAxes(ctx, (axis) => !axes.has(axis))
    },
    ...(same === undefined ? {} : { constant: transferOf(same) }),
    ...(sumsToOne ? { sumsToOne: onlyComparedAxis } : {}),
    ...(isShiftFree ? { shifts: (ctx) => [onlyComparedAxis(ctx) ?? []].flat() } : {}),
    evaluate: (ctx, [x]) => {
      const axes = x && comparedAxes(ctx, x.shape.length)
      if (!x || !axes || !isFloat(x.dtype)) return undefined
      return [tensorOf(x.dtype, x.shape, normaliseOver(x, axes, compute))]
    },
  })

const onlyComparedAxis = (ctx: NodeContext<SoftmaxAttributes>): number | undefined => {
  const [axis, ...others] = comparedAxes(ctx, inputShape(ctx, 0)?.length ?? 0) ?? []
  return others.length === 0 ? axis : undefined
}

const transferOf =
  (same: (count: number) => number): NonNullable<OpDef<string, SoftmaxAttributes>['constant']> =>
  (ctx, [x]) => {
    const shape = inputShape(ctx, 0)
    const axes = shape && comparedAxes(ctx, shape.length)
    const count = shape && axes && countAlong(shape, axes)
    return typeof x === 'number' && isReal(ctx) && count !== undefined ? finite(same(count)) : undefined
  }
