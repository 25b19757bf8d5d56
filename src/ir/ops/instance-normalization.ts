import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { float } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf } from '../evaluate.ts'
import { finite } from '../families/elementwise.ts'
import { axesFrom, centresToZero, normaliseOver, standardise } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic } from '../type.ts'

/**
 * `y = (x - mean) / √(variance + epsilon) · scale + B`, mean and variance over all positions of each channel of each
 * sample: `x[N,C,...]`, `scale[C]`, `B[C]`. A constant channel, or a zero scale, becomes the constant B.
 */
export const InstanceNormalization = defineOp<'InstanceNormalization', { readonly epsilon: number }>({
  name: 'InstanceNormalization',
  versions: [6, Infinity],
  schema: { epsilon: float(Math.fround(1e-5)) },
  inferTypes: (ctx) =>
    pipe(
      tensorInput(ctx, 0),
      E.map((type) => [type]),
    ),
  links: (ctx) => {
    const channels = inputShape(ctx, 0)?.[1]
    const known = isStatic(channels) && [1, 2].every((port) => inputShape(ctx, port)?.[0] === channels)
    return [
      ...sameAxes(ctx, (axis) => axis === 0 || (axis === 1 && known)),
      ...(known ? [sameIndex(1, 0, 0, 1), sameIndex(2, 0, 0, 1)] : []),
    ]
  },
  constant: (ctx, [x, scale, b]) => {
    const [type] = ctx.outputs
    if (type?.kind !== 'tensor' || !isFloat(type.dtype) || typeof b !== 'number') return undefined
    const centred = typeof x === 'number' && centresToZero(x, ctx.attrs.epsilon, type.dtype)
    return scale === 0 || centred ? finite(b) : undefined
  },
  squares: true,
  evaluate: (ctx, [x, scale, b]) => {
    if (!x || !scale || !b || !isFloat(x.dtype)) return undefined
    const [ss, bs] = [numbersOf(scale), numbersOf(b)]
    const ns = normaliseOver(x, axesFrom(2, x.shape.length), (v) => standardise(v, ctx.attrs.epsilon).values)
    return [generate(x.dtype, x.shape, (i, flat) => (ns[flat] ?? 0) * (ss[i[1] ?? 0] ?? 0) + (bs[i[1] ?? 0] ?? 0))]
  },
})
