import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate } from '../evaluate.ts'
import { finite } from '../families/elementwise.ts'
import { axesFrom, broadcastAt, centresToZero, normaliseOver, standardise } from '../families/normalization.ts'
import { reducedShape } from '../families/reduction.ts'
import { putBack } from '../families/put-back.ts'
import { channelsGone, constantsAt, joined, normalisedAxis, parameterOf, takeFirst } from '../families/statistics.ts'
import { gatherOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { broadcastLinks, inputShape, mayReach, sameAxes, sameIndex } from '../links.ts'
import { defineOp, type ValueId } from '../op.ts'
import { type Tensor, tensorOf } from '../tensor.ts'
import { normalizeAxis, tensorType } from '../type.ts'

export interface LayerNormalizationAttributes {
  readonly axis: number
  readonly epsilon: number
  /** Element type that the statistics are computed in: 1 is float32. */
  readonly stash_type: number
}

/**
 * `y = (x - mean) / √(variance + epsilon) · scale + B`, mean and variance over the axes from `axis` on; scale and B
 * broadcast to `x`. Further outputs are the mean and `1 / √(variance + epsilon)`, in float32.
 */
export const LayerNormalization = defineOp<'LayerNormalization', LayerNormalizationAttributes>({
  name: 'LayerNormalization',
  // Before opset 17 it is one that ONNX Runtime has put into the model.
  versions: [1, Infinity],
  schema: { axis: int(-1), epsilon: float(Math.fround(1e-5)), stash_type: int(1) },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const { shape } = x.right
    if (ctx.attrs.stash_type !== 1) return E.left(`stash_type ${ctx.attrs.stash_type}`)
    if (shape === undefined) {
      const statistics = tensorType('float32', undefined)
      return E.right([x.right, statistics, statistics])
    }
    const axis = normalizeAxis(ctx.attrs.axis, shape.length)
    if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} of a rank-${shape.length} tensor`)
    const statistics = tensorType('float32', reducedShape(shape, axesFrom(axis, shape.length), true))
    return E.right([x.right, statistics, statistics])
  },
  links: (ctx) => {
    const rank = inputShape(ctx, 0)?.length ?? 0
    const axis = normalizeAxis(ctx.attrs.axis, rank) ?? 0
    const links = sameAxes(ctx, (a) => a < axis && ![1, 2].some((port) => mayReach(ctx, port, a)))
    const statistics = [1, 2].filter((output) => Boolean(ctx.outputNames[output]))
    return [
      ...links,
      ...statistics.flatMap((output) => links.map((link) => sameIndex(0, link.inputAxis, output, link.outputAxis))),
      ...broadcastLinks(ctx, [1, 2]).filter((link) => link.outputAxis < axis),
    ]
  },
  statistics: (ctx) => normalisedAxis(ctx, ctx.attrs.axis, [1, 2], { leaves: () => true, isPadded: true }),
  constant: (ctx, [x, scale, b], output, axis) => {
    const [type] = ctx.outputs
    if (output !== 0 || type?.kind !== 'tensor' || !isFloat(type.dtype)) return undefined
    const shift = ctx.node.inputs[2] ? b : 0
    if (typeof shift !== 'number') return undefined
    // A channel of the normalised axis is centred by the mean of all of them.
    const isAlong = axis < (normalizeAxis(ctx.attrs.axis, type.shape?.length ?? 0) ?? 0)
    const centred = isAlong && typeof x === 'number' && centresToZero(x, ctx.attrs.epsilon, type.dtype)
    return scale === 0 || centred ? finite(shift) : undefined
  },
  shrink: (s) => {
    const shape = inputShape(s, 0) ?? []
    const axis = shape.length - 1
    const kept = s.keptInput(0, axis)
    const gone = channelsGone(s, axis)
    if (kept === undefined) return gatherOperands(s)
    const [x = '', ...parameters] = s.node.inputs
    const [y = '', ...statistics] = s.node.outputs
    const [padded, whole] = [s.fresh(`${y}_padded`), s.fresh(`${y}_whole`)]
    const order = Int32Array.from([...kept, ...gone])
    const constants = new Map<ValueId, Tensor>()
    const inputs = parameters.map((name, i) => {
      const tensor = s.constant(i + 1)
      if (tensor === undefined) return name
      const made = s.rename(i + 1, name)
      constants.set(made, parameterOf(s, i + 1, tensor, axis, order))
      return made
    })
    const node = { ...s.node, inputs: [padded, ...inputs], outputs: [whole, ...statistics] }
    return joined([
      putBack(s, [x, padded], [shape.length, axis], kept.length, [constantsAt(s, axis, gone)]),
      { nodes: [node], constants },
      takeFirst(s, [whole, y], axis, kept.length),
    ])
  },
  squares: true,
  evaluate: (ctx, [x, scale, b]) => {
    const axis = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || !scale || axis === undefined || !isFloat(x.dtype)) return undefined
    const means: number[] = []
    const factors: number[] = []
    const axes = axesFrom(axis, x.shape.length)
    const ns = normaliseOver(x, axes, (group) => {
      const { mean, factor, values } = standardise(group, ctx.attrs.epsilon)
      means.push(mean)
      factors.push(factor)
      return values
    })
    const [s, shift] = [broadcastAt(scale, x.shape.length), b && broadcastAt(b, x.shape.length)]
    const y = generate(x.dtype, x.shape, (index, flat) => (ns[flat] ?? 0) * s(index) + (shift?.(index) ?? 0))
    const shape = reducedShape(x.shape, axes, true)
    return [y, tensorOf('float32', shape, means), tensorOf('float32', shape, factors)]
  },
})
