import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../attributes.ts'
import { coversInput, pool, type PoolAttributes, poolSteps, poolType } from '../families/pooling.ts'
import { sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { maximumOf } from '../special-functions.ts'
import { tensorType } from '../type.ts'

export interface MaxPoolAttributes extends PoolAttributes {
  readonly storage_order: number
}

/** Indices count elements of the whole input, so they change when any axis shrinks. */
const hasIndices = (ctx: InferContext<unknown>): boolean => Boolean(ctx.outputNames[1])

/** Largest element of each window of `x[N,C,...]`; padding is minus infinity. The second output is where it was. */
export const MaxPool = defineOp<'MaxPool', MaxPoolAttributes>({
  name: 'MaxPool',
  versions: [1, Infinity],
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    ceil_mode: int(0),
    dilations: optionalInts,
    kernel_shape: optionalInts,
    pads: optionalInts,
    storage_order: int(0),
    strides: optionalInts,
  },
  inferTypes: (ctx) => {
    const y = poolType(ctx)
    return E.isLeft(y) ? y : E.right([y.right, tensorType('int64', y.right.shape)])
  },
  links: (ctx) => (hasIndices(ctx) ? 'opaque' : sameAxes(ctx, (axis) => axis < 2)),
  constant: (ctx, [c]) => (typeof c === 'number' && !hasIndices(ctx) && coversInput(ctx) ? c : undefined),
  steps: poolSteps,
  evaluate: (ctx, [x]) => {
    const y = x && !hasIndices(ctx) ? pool(x, ctx.attrs, (values) => maximumOf(values)) : undefined
    return y && [y]
  },
})
