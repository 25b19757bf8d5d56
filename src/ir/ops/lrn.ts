import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { isReal } from '../families/elementwise.ts'
import { sumsSquares } from '../families/half-precision.ts'
import { normaliseOver } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { countOf, inputShape, sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { sumOf } from '../special-functions.ts'
import { tensorOf } from '../tensor.ts'

export interface LRNAttributes {
  readonly alpha: number
  readonly beta: number
  readonly bias: number
  /** Channels summed over; 0 where the file has none, which is no valid node. */
  readonly size: number
}

/** `x / (bias + alpha/size · Σ x²)^beta`, the sum over the `size` channels around each. */
export const LRN = defineOp<'LRN', LRNAttributes>({
  name: 'LRN',
  versions: [1, Infinity],
  float32: sumsSquares,
  schema: { alpha: float(Math.fround(1e-4)), beta: float(0.75), bias: float(1), size: int(0) },
  inferTypes: (ctx) =>
    ctx.attrs.size < 1
      ? E.left('no size')
      : pipe(
          tensorInput(ctx, 0),
          E.map((type) => [type]),
        ),
  links: (ctx) => sameAxes(ctx, (axis) => axis !== 1),
  constant: (ctx, [x], _output, axis) => (x === 0 && axis !== 1 && isReal(ctx) ? 0 : undefined),
  steps: (ctx) => countOf(inputShape(ctx, 0)) * Math.min(ctx.attrs.size, Number(inputShape(ctx, 0)?.[1] ?? 1)),
  evaluate: (ctx, [x]) => {
    if (!x || !isFloat(x.dtype) || x.shape.length < 2) return undefined
    const { alpha, beta, bias, size } = ctx.attrs
    const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)]
    const values = normaliseOver(x, new Set([1]), (channels) =>
      channels.map((v, c) => {
        const near = channels.slice(Math.max(0, c - before), c + after + 1)
        return v / (bias + (alpha / size) * sumOf(near.map((n) => n * n))) ** beta
      }),
    )
    return [tensorOf(x.dtype, x.shape, values)]
  },
})
