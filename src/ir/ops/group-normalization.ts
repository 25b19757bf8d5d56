import * as E from 'fp-ts/lib/Either.js'
import { pipe } from 'fp-ts/lib/function.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf, reshaped } from '../evaluate.ts'
import { finite } from '../families/elementwise.ts'
import { axesFrom, centresToZero, normaliseOver, standardise } from '../families/normalization.ts'
import { firstPad, putBack } from '../families/put-back.ts'
import { channelsGone, constantsAt, joined, takeFirst } from '../families/statistics.ts'
import { gatherOperands, replaceOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameAxes, sameIndex } from '../links.ts'
import { makeNode } from '../make-node.ts'
import { defineOp, type Rewrite, type ValueId } from '../op.ts'
import { gather, int64s, type Tensor } from '../tensor.ts'
import { isStatic, sizeOf } from '../type.ts'
import { Reshape } from './reshape.ts'
import { Shape } from './shape.ts'

export interface GroupNormalizationAttributes {
  readonly epsilon: number
  /** Groups that the channels fall into; 0 where the file has none, which is no valid node. */
  readonly num_groups: number
  readonly stash_type: number
}

/**
 * `y = (x - mean) / √(variance + epsilon) · scale + B`, mean and variance over all positions and channels of a group of
 * each sample: `x[N,C,...]`, `scale[C]`, `B[C]`.
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
  statistics: (ctx) => {
    const groups = ctx.attrs.num_groups
    const channels = inputShape(ctx, 0)?.[1]
    if (!isStatic(channels) || channels % groups !== 0 || ctx.opset < firstPad) return []
    if ([1, 2].some((port) => ctx.constant(port)?.shape.join() !== String(channels))) return []
    const links = [sameIndex(0, 1, 0, 1), sameIndex(1, 0, 0, 1), sameIndex(2, 0, 0, 1)]
    return [{ port: 0, axis: 1, groups, links, leaves: () => true, isPadded: true }]
  },
  constant: (ctx, [x, scale, b], _output, axis) => {
    const [type] = ctx.outputs
    if (axis > 1 || type?.kind !== 'tensor' || !isFloat(type.dtype) || typeof b !== 'number') return undefined
    // A channel is centred by the mean of its group.
    const centred = axis === 0 && typeof x === 'number' && centresToZero(x, ctx.attrs.epsilon, type.dtype)
    return scale === 0 || centred ? finite(b) : undefined
  },
  shrink: (s) => {
    const channels = Number(inputShape(s, 0)?.[1])
    const kept = s.keptInput(0, 1)
    if (kept === undefined) return gatherOperands(s)
    const perGroup = channels / s.attrs.num_groups
    const groups = [...new Set(Array.from(kept, (i) => Math.floor(i / perGroup)))]
    const left = kept.length / groups.length
    const gone = groups.map((g) => channelsGone(s, 1).filter((i) => Math.floor(i / perGroup) === g))
    const order = Int32Array.from(
      groups.flatMap((_, g) => [...kept.subarray(g * left, (g + 1) * left), ...(gone[g] ?? [])]),
    )
    const node = { ...s.node, attrs: { ...s.attrs, num_groups: groups.length } }
    const operands = new Map<number, Tensor>()
    for (const port of [1, 2]) {
      const tensor = s.constant(port)
      if (tensor !== undefined) operands.set(port, gather(tensor, 0, order))
    }
    const [x = '', y = ''] = [s.node.inputs[0], s.node.outputs[0]]
    const normalised = (input: ValueId, output: ValueId): Rewrite => {
      const { nodes, constants } = replaceOperands(node, operands, s)
      const named = nodes.map((one) => ({ ...one, inputs: one.inputs.with(0, input), outputs: [output] }))
      return { nodes: named, constants }
    }
    if (left === perGroup) return normalised(x, y)
    const fresh = (hint: string): ValueId => s.fresh(`${y}_${hint}`)
    const reshape = (from: ValueId, to: ValueId, shape: ReadonlyArray<number>): Rewrite => {
      const name = s.fresh(`${to}_shape`)
      return { nodes: [makeNode(Reshape, [from, name], [to])], constants: new Map([[name, int64s(shape)]]) }
    }
    const [split, padded, whole, made, parted, taken, sizes] = [
      fresh('split'),
      fresh('padded'),
      fresh('whole'),
      fresh('made'),
      fresh('parted'),
      fresh('taken'),
      fresh('sizes'),
    ]
    return joined([
      reshape(x, split, [0, groups.length, left, -1]),
      putBack(
        s,
        [split, padded],
        [4, 2],
        left,
        gone.map((row) => constantsAt(s, 1, row)),
      ),
      reshape(padded, whole, [0, groups.length * perGroup, -1]),
      normalised(whole, made),
      reshape(made, parted, [0, groups.length, perGroup, -1]),
      takeFirst(s, [parted, taken], 2, left),
      { nodes: [makeNode(Shape, [x], [sizes]), makeNode(Reshape, [taken, sizes], [y])], constants: new Map() },
    ])
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
