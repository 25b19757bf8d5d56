import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf, reshaped } from '../evaluate.ts'
import { finite } from '../families/elementwise.ts'
import { axesFrom, centresToZero, normaliseOver, standardise } from '../families/normalization.ts'
import { tensorInput } from '../infer.ts'
import { sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { sizeOf } from '../type.ts'

export interface GroupNormalizationAttributes {
  readonly epsilon: number
  /** Groups that the channels fall into; 0 where the file has none, which is no valid node. */
  readonly num_groups: number
  readonly stash_type: number
}

/**
 * `y = (x - mean) / √(variance + epsilon) · scale + B`, mean and variance over all positions and channels of a group of
 * each sample: `x[N,C,...]`, `scale[C]`, `B[C]`. Channels of a group depend on each other, so they are not linked.
 * Opset 18 to 20 had one scale for each group, which is not modelled.
 */
export const GroupNormalization = defineOp<'GroupNormalization', GroupNormalizationAttributes>({
  name: 'GroupNormalization',
  versions: [21, Infinity],
  schema: { epsilon: float(Math.fround(1e-5)), num_groups: int(0), stash_type: int(1) },
  inferTypes: (ctx) =>
    ctx.attrs.num_groups < 1
      ? E.left('no num_groups')
      : pipe(
          tensorInput(ctx, 0),
          E.map((type) => [type]),
        ),
  links: (ctx) => sameAxes(ctx, (axis) => axis === 0),
  constant: (ctx, [x, scale, b], _output, axis) => {
    const [type] = ctx.outputs
    if (axis !== 0 || type?.kind !== 'tensor' || !isFloat(type.dtype) || typeof b !== 'number') return undefined
    const centred = typeof x === 'number' && centresToZero(x, ctx.attrs.epsilon, type.dtype)
    return scale === 0 || centred ? finite(b) : undefined
  },
  squares: true,
  evaluate: (ctx, [x, scale, b]) => {
    if (!x || !scale || !b || !isFloat(x.dtype) || x.shape.length < 2) return undefined
    const [batch = 0, channels = 0] = x.shape
    const { num_groups, epsilon } = ctx.attrs
    if (!(num_groups > 0 && channels % num_groups === 0)) return undefined
    const grouped = reshaped(x, [batch, num_groups, (channels / num_groups) * sizeOf(x.shape.slice(2))])
    const ns = normaliseOver(grouped, axesFrom(2, 3), (values) => standardise(values, epsilon).values)
    const [ss, bs] = [numbersOf(scale), numbersOf(b)]
    return [generate(x.dtype, x.shape, (i, flat) => (ns[flat] ?? 0) * (ss[i[1] ?? 0] ?? 0) + (bs[i[1] ?? 0] ?? 0))]
  },
})
