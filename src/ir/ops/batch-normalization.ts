import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { type Field, float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf } from '../evaluate.ts'
import { finite, isReal } from '../families/elementwise.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes, sameIndex } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { type Dense, materialize } from '../tensor.ts'
import { isStatic, sizeOf, tensorType, unknownType } from '../type.ts'

export interface BatchNormalizationAttributes {
  readonly epsilon: number
  readonly momentum: number
  readonly training_mode: number
  readonly spatial: 1
}

/** Opset 7 and 8 could normalise every element on its own (0), which is not modelled. */
const spatial: Field<1> = {
  decode: (raw) => (raw.kind === 'int' && raw.value === 1n ? 1 : undefined),
  encode: () => undefined,
  absent: 1,
}

/** Statistics are computed from the batch when training, which before opset 14 is when more than one output is used. */
const isTraining = (ctx: InferContext<BatchNormalizationAttributes>): boolean =>
  ctx.attrs.training_mode !== 0 || ctx.outputNames.slice(1).some((name) => name !== '')

const parameters = [1, 2, 3, 4]

/**
 * `y = (x - mean) / √(var + epsilon) · scale + B` for each channel, an element-wise operator of five operands: `x[N,C,...]`,
 * the others `[C]`. A zero scale leaves the constant B. In training mode mean and var are those of `x`, and further
 * outputs average them with the operands: `before · momentum + now · (1 - momentum)`.
 */
export const BatchNormalization = defineOp<'BatchNormalization', BatchNormalizationAttributes>({
  name: 'BatchNormalization',
  versions: [7, Infinity],
  schema: { epsilon: float(Math.fround(1e-5)), momentum: float(Math.fround(0.9)), training_mode: int(0), spatial },
  inferTypes: (ctx) =>
    pipe(
      tensorInput(ctx, 0),
      E.map((x) =>
        ctx.outputNames.map((_, i) => {
          const type = i === 0 ? x : ctx.inputs[i === 1 || i === 3 ? 3 : 4]
          return type?.kind === 'tensor' ? tensorType(type.dtype, type.shape) : unknownType
        }),
      ),
    ),
  divisors: ({ attrs }) => [{ port: 4, offset: attrs.epsilon }],
  links: (ctx) => {
    if (isTraining(ctx)) return 'opaque'
    const channels = inputShape(ctx, 0)?.[1]
    const known = isStatic(channels) && parameters.every((port) => inputShape(ctx, port)?.[0] === channels)
    return [
      ...sameAxes(ctx, (axis) => axis !== 1 || known),
      ...(known ? parameters.map((port) => sameIndex(port, 0, 0, 1)) : []),
    ]
  },
  constant: (ctx, [x, scale, b, mean, variance]) => {
    if (!isReal(ctx) || isTraining(ctx) || typeof b !== 'number') return undefined
    if (scale === 0) return finite(b)
    if (typeof x !== 'number' || typeof scale !== 'number') return undefined
    if (typeof mean !== 'number' || typeof variance !== 'number') return undefined
    return finite(((x - mean) / Math.sqrt(variance + ctx.attrs.epsilon)) * scale + b)
  },
  // scale / √(var + epsilon) · x + (B - mean · scale / √(var + epsilon)), as runtimes compute it too.
  affine: (ctx, axis) => {
    const constants = parameters.map((port) => ctx.constant(port))
    if (axis !== 1 || isTraining(ctx) || !isReal(ctx)) return undefined
    const [scale, b, mean, variance] = constants.map((tensor) => tensor && numbersOf(materialize(tensor)))
    if (!scale || !b || !mean || !variance) return undefined
    const k = Float64Array.from(variance, (v, c) => (scale[c] ?? NaN) / Math.sqrt(v + ctx.attrs.epsilon))
    return { port: 0, scale: k, shift: k.map((s, c) => (b[c] ?? NaN) - (mean[c] ?? NaN) * s) }
  },
  evaluate: (ctx, inputs) => {
    const [x, scale, b, mean, variance] = inputs
    if (!x || !scale || !b || !mean || !variance || !isFloat(x.dtype)) return undefined
    const training = isTraining(ctx)
    if (training && ctx.opset < 14) return undefined
    const [xs, ss, bs, ms, vs] = [numbersOf(x), numbersOf(scale), numbersOf(b), numbersOf(mean), numbersOf(variance)]
    const batch = training ? statisticsOf(x.shape, xs) : { means: ms, variances: vs }
    const y = generate(x.dtype, x.shape, (index, flat) => {
      const c = index[1] ?? 0
      const centred = (xs[flat] ?? 0) - (batch.means[c] ?? 0)
      return (centred / Math.sqrt((batch.variances[c] ?? 0) + ctx.attrs.epsilon)) * (ss[c] ?? 0) + (bs[c] ?? 0)
    })
    const { momentum } = ctx.attrs
    const running = (of: Dense, before: ArrayLike<number>, now: ArrayLike<number>): Dense =>
      generate(of.dtype, of.shape, (_, c) => (before[c] ?? 0) * momentum + (now[c] ?? 0) * (1 - momentum))
    return [y, running(mean, ms, batch.means), running(variance, vs, batch.variances)].slice(0, ctx.outputs.length)
  },
})

/** Mean and variance (divided by the count) of each channel over all samples and positions. */
const statisticsOf = (
  shape: ReadonlyArray<number>,
  xs: ArrayLike<number>,
): { readonly means: Float64Array; readonly variances: Float64Array } => {
  const channels = shape[1] ?? 1
  const inner = sizeOf(shape.slice(2))
  const count = xs.length / channels
  const average = (value: (flat: number, c: number) => number): Float64Array => {
    const sums = new Float64Array(channels)
    for (let flat = 0; flat < xs.length; flat++) {
      const c = Math.floor(flat / inner) % channels
      sums[c] = (sums[c] ?? 0) + value(flat, c)
    }
    return sums.map((sum) => sum / count)
  }
  const means = average((flat) => xs[flat] ?? 0)
  return { means, variances: average((flat, c) => ((xs[flat] ?? 0) - (means[c] ?? 0)) ** 2) }
}
