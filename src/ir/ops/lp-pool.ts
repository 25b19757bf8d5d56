import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInts, string } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { finite, outputPrecision } from '../families/elementwise.ts'
import { sumsSquares } from '../families/half-precision.ts'
import { pool, type PoolAttributes, poolSteps, poolType, staysInside } from '../families/pooling.ts'
import { sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { norm, normOfEqual } from '../special-functions.ts'
import { sizeOf } from '../type.ts'

export interface LpPoolAttributes extends PoolAttributes {
  readonly p: number
}

/** `(Σ |x|^p)^(1/p)` over each window of `x[N,C,...]`; padding adds nothing. */
export const LpPool = defineOp<'LpPool', LpPoolAttributes>({
  name: 'LpPool',
  versions: [2, Infinity],
  float32: sumsSquares,
  schema: {
    auto_pad: string('NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID'),
    ceil_mode: int(0),
    dilations: optionalInts,
    kernel_shape: optionalInts,
    p: int(2),
    pads: optionalInts,
    strides: optionalInts,
  },
  inferTypes: (ctx) => {
    const y = poolType(ctx)
    return E.isLeft(y) ? y : E.right([y.right])
  },
  links: (ctx) => sameAxes(ctx, (axis) => axis < 2),
  constant: (ctx, [c]) => {
    const precision = outputPrecision(ctx)
    if (typeof c !== 'number' || precision === undefined) return undefined
    if (c === 0) return 0
    const count = sizeOf(ctx.attrs.kernel_shape ?? [])
    return staysInside(ctx.attrs) ? finite(normOfEqual(c, count, ctx.attrs.p, precision) ?? NaN) : undefined
  },
  steps: poolSteps,
  squares: true,
  evaluate: (ctx, [x]) => {
    const y = x && isFloat(x.dtype) ? pool(x, ctx.attrs, (values) => norm(values, ctx.attrs.p)) : undefined
    return y && [y]
  },
})
