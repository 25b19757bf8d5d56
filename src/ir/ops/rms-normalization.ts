import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf } from '../evaluate.ts'
import { finite, outputPrecision } from '../families/elementwise.ts'
import { axesFrom, broadcastAt, normaliseOver } from '../families/normalization.ts'
import { channelsGone, constantsAt, normalisedAxis, parameterOf } from '../families/statistics.ts'
import { gatherOperands, replaceOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { broadcastLinks, inputShape, mayReach, sameAxes } from '../links.ts'
import type { Precision } from '../numerics.ts'
import { defineOp } from '../op.ts'
import { sumOf } from '../special-functions.ts'
import { materialize, tensorOf } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'

export interface RMSNormalizationAttributes {
  readonly axis: number
  readonly epsilon: number
  readonly stash_type: number
}

/** Whether a runtime's square of a constant, and a sum of many, is a normal number of the type; or 0 of 0. */
const squaresWell = (c: number, epsilon: number, { normal, largest }: Precision): boolean =>
  c === 0 || ((c * c >= normal || epsilon >= normal) && c * c <= largest * 2 ** -24)

/**
 * `y = x / √(mean(x²) + epsilon) · scale`, the mean over the axes from `axis` on; the scale broadcasts to `x`.
 *
 * Constants c that leave D channels, so that D' stay, are in what is added: `mean(x²) + epsilon` of D channels is
 * `D'/D · (mean(x²) of D' + (epsilon + Σc²/D) · D/D')`, and a root of the factor is in the scale.
 */
export const RMSNormalization = defineOp<'RMSNormalization', RMSNormalizationAttributes>({
  name: 'RMSNormalization',
  versions: [23, Infinity],
  schema: { axis: int(-1), epsilon: float(Math.fround(1e-5)), stash_type: int(1) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const rank = x.right.shape?.length
    if (rank !== undefined && normalizeAxis(ctx.attrs.axis, rank) === undefined) {
      return E.left(`axis ${ctx.attrs.axis} of a rank-${rank} tensor`)
    }
    const scale = ctx.inputs[1]
    return E.right([scale?.kind === 'tensor' ? { ...x.right, dtype: scale.dtype } : x.right])
  },
  links: (ctx) => {
    const first = normalizeAxis(ctx.attrs.axis, inputShape(ctx, 0)?.length ?? 0) ?? 0
    return [
      ...sameAxes(ctx, (axis) => axis < first && !mayReach(ctx, 1, axis)),
      ...broadcastLinks(ctx, [1]).filter((link) => link.outputAxis < first),
    ]
  },
  statistics: (ctx) => {
    const precision = outputPrecision(ctx)
    const { epsilon } = ctx.attrs
    const [size, scale] = [inputShape(ctx, 0)?.at(-1), ctx.constant(1)]
    if (precision === undefined || !isStatic(size) || scale === undefined) return []
    // Whatever leaves, the scale grows by less than this.
    const largest = numbersOf(materialize(scale)).some((v) => !(Math.abs(v) * Math.sqrt(size) <= precision.largest))
    if (largest) return []
    // The attribute is a number of single precision, which does not hold what it becomes to the digits of double precision.
    if (precision.digits > 24) return []
    return normalisedAxis(ctx, ctx.attrs.axis, [1], {
      leaves: (c) => squaresWell(c, epsilon, precision),
      isPadded: false,
    })
  },
  constant: (ctx, [x, scale], _output, axis) => {
    const precision = outputPrecision(ctx)
    const { epsilon } = ctx.attrs
    if (precision === undefined) return undefined
    if (scale === 0 || (x === 0 && epsilon > 0)) return 0
    if (typeof x !== 'number' || typeof scale !== 'number') return undefined
    // A channel of the normalised axis is divided by a root of all of them.
    const rank = inputShape(ctx, 0)?.length ?? 0
    if (axis >= (normalizeAxis(ctx.attrs.axis, rank) ?? 0)) return undefined
    // Squares that leave the normal numbers of the type, or whose sum does, give something else.
    if (!squaresWell(x, epsilon, precision)) return undefined
    return finite((x / Math.sqrt(x * x + epsilon)) * scale)
  },
  shrink: (s) => {
    const shape = inputShape(s, 0) ?? []
    const axis = shape.length - 1
    const [kept, scale] = [s.keptInput(0, axis), s.constant(1)]
    if (kept === undefined || scale === undefined) return gatherOperands(s)
    const count = Number(shape[axis])
    const lost = sumOf(Array.from(constantsAt(s, axis, channelsGone(s, axis)), (c) => c * c))
    const epsilon = Math.fround((s.attrs.epsilon + lost / count) * (count / kept.length))
    const factor = Math.sqrt(count / kept.length)
    const left = materialize(parameterOf(s, 1, scale, axis, kept))
    const scaled = tensorOf(
      left.dtype,
      left.shape,
      numbersOf(left).map((v) => v * factor),
    )
    const node = { ...s.node, attrs: { ...s.attrs, epsilon } }
    return replaceOperands(node, new Map([[1, scaled]]), s)
  },
  squares: true,
  evaluate: (ctx, [x, scale]) => {
    const first = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || !scale || first === undefined || !isFloat(x.dtype)) return undefined
    const ns = normaliseOver(x, axesFrom(first, x.shape.length), (values) => {
      const root = Math.sqrt(sumOf(values.map((v) => v * v)) / values.length + ctx.attrs.epsilon)
      return values.map((v) => v / root)
    })
    const s = broadcastAt(scale, x.shape.length)
    return [generate(scale.dtype, x.shape, (index, flat) => (ns[flat] ?? 0) * s(index))]
  },
})
