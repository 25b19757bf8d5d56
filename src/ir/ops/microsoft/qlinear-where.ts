import * as E from 'fp-ts/lib/Either.js'
import { dtypeOf } from '../../families/movement.ts'
import { requantizedFact, requantizedTensor, type Scaling, scalingOn } from '../../families/quantized-elements.ts'
import { broadcastLinks } from '../../links.ts'
import { defineOp, type InferContext, type NodeContext } from '../../op.ts'
import { tensorType } from '../../type.ts'
import { Where } from '../where.ts'

/** The same operands for Where. */
const plain = <C extends InferContext<Record<never, never>>>(ctx: C): C => ({
  ...ctx,
  inputs: [ctx.inputs[0], ctx.inputs[1], ctx.inputs[4]],
})

/** Of both operands, then of the result. */
const scalingsOf = (ctx: InferContext<unknown>): readonly [Scaling, Scaling, Scaling] | undefined => {
  const [x, y, z] = [scalingOn(ctx, 2, 3), scalingOn(ctx, 5, 6), scalingOn(ctx, 7, 8)]
  return x && y && z && [x, y, z]
}

/**
 * `condition ? X : Y` of quantized tensors, each rounded from its own integers to those of the result. Ports: condition, X, its scale
 * and zero, Y, its scale and zero, scale and zero of the result.
 */
export const QLinearWhere = defineOp<'com.microsoft.QLinearWhere', Record<never, never>>({
  name: 'com.microsoft.QLinearWhere',
  versions: [1, 1],
  schema: {},
  mixesTypes: true,
  inferTypes: (ctx) => {
    const made = Where.inferTypes(plain(ctx))
    if (E.isLeft(made)) return made
    const [[type], dtype] = [made.right, dtypeOf(ctx.inputs[8])]
    if (type?.kind !== 'tensor' || dtype === undefined) return E.left('the element type is unknown')
    return E.right([tensorType(dtype, type.shape)])
  },
  links: (ctx) => (scalingsOf(ctx) === undefined ? 'opaque' : broadcastLinks(ctx, [0, 1, 4])),
  constant: (ctx, [condition, x, , , y]) => {
    const [scalings, dtype] = [scalingsOf(ctx), dtypeOf(ctx.outputs[0])]
    if (scalings === undefined || dtype === undefined) return undefined
    const [from, other, to] = scalings
    const taken = typeof condition !== 'number' ? [x, y] : condition === 0 ? [null, y] : [x, null]
    return requantizedFact(taken, [from, other], to, dtype)
  },
  integers: () => [
    { port: 1, scale: 2, zero: 3 },
    { port: 4, scale: 5, zero: 6 },
  ],
  total: true,
  evaluate: (ctx, [condition, x, , , y]) => {
    const scalings = scalingsOf(ctx)
    if (!condition || !x || !y || scalings === undefined) return undefined
    const [from, other, to] = scalings
    const [a, b] = [requantizedTensor(x, from, to), requantizedTensor(y, other, to)]
    return a && b && Where.evaluate?.(plainNode(ctx), [condition, a, b])
  },
})

const plainNode = (ctx: NodeContext<Record<never, never>>): NodeContext<Record<never, never>> => plain(ctx)
