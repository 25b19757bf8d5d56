import * as E from 'fp-ts/lib/Either.js'
import { stridesOf } from '../evaluate.ts'
import { keptSize, movedType, strided, targetShape, withAmounts, withOperand } from '../families/movement.ts'
import { gatherOperands } from '../gather-operands.ts'
import { broadcastShapes, unknownShapeOf } from '../infer.ts'
import { broadcastLinks, inputShape, outputShape, shapeOf } from '../links.ts'
import { defineOp, type InferContext, type NodeContext } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { int64s } from '../tensor.ts'
import { type Dim, isStatic, sameType, type Shape, unknownDim } from '../type.ts'

/** Elements of the target, those that are not known as sizes of their own; undefined where not even its length is. */
const targetOf = (ctx: InferContext<unknown>): Shape | undefined => {
  const name = ctx.outputNames[0] ?? ''
  const rank = shapeOf(ctx.inputs[1])?.[0]
  const content = ctx.content(1)
  if (content) return content.map((dim, axis) => (isKnownElement(dim) ? dim : unknownDim(name, axis)))
  return unknownShapeOf(name, rank)
}

/** The element of the target that output axis `axis` is widened to; 1 where the target has none. */
const entryAt = <T extends Dim>(ctx: NodeContext<unknown>, target: ReadonlyArray<T>, axis: number): T | 1 =>
  target[axis + target.length - (outputShape(ctx)?.length ?? 0)] ?? 1

/** Widens axes of size 1, and adds axes in front, so that the shape is the broadcast of the input's and the target. */
export const Expand = defineOp<'Expand', Record<never, never>>({
  name: 'Expand',
  versions: [8, Infinity],
  schema: {},
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const target = targetOf(ctx)
      return target === undefined ? E.right(undefined) : broadcastShapes([from, target], ctx.outputNames[0] ?? '')
    }),
  links: (ctx) => {
    const target = ctx.content(1)
    if (target === undefined) return 'opaque'
    // An entry that is not known cannot be changed.
    return broadcastLinks(ctx, [0]).filter((link) => isStatic(entryAt(ctx, target, link.outputAxis)))
  },
  constant: (_ctx, [x]) => x ?? undefined,
  shrink: (s) => {
    const target = s.content(1) ?? []
    const offset = (outputShape(s)?.length ?? 0) - target.length
    const left = target.map((entry, i) =>
      entry === 1 || !isStatic(entry) ? entry : keptSize(s.keptOutput(0, i + offset), entry),
    )
    if (s.constant(1) !== undefined) return withOperand(s, gatherOperands(s), 1, int64s(left.map(Number)))
    const amounts = left.map((entry, i) => (isStatic(entry) ? entry - Number(target[i]) : 0))
    return withAmounts(s, gatherOperands(s), 1, amounts)
  },
  identity: (ctx) => {
    const [input, output] = [ctx.inputs[0], ctx.outputs[0]]
    return input?.kind === 'tensor' && input.shape !== undefined && output && sameType(input, output) ? 0 : undefined
  },
  simplify: (ctx, fresh) => {
    const [from, to, target] = [inputShape(ctx, 0), outputShape(ctx), ctx.content(1)]
    if (from === undefined || to === undefined || target === undefined || ctx.constant(1) !== undefined)
      return undefined
    const entries = to.map((_, axis) => {
      const entry = entryAt(ctx, target, axis)
      return entry === from[axis + from.length - to.length] ? 1 : entry
    })
    const left = entries.filter(isStatic)
    if (left.length < entries.length) return undefined
    const name = fresh(`${ctx.node.outputs[0] ?? ''}_shape`)
    const node = { ...ctx.node, inputs: [ctx.node.inputs[0] ?? '', name] }
    return { nodes: [node], constants: new Map([[name, int64s(left)]]) }
  },
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const strides = stridesOf(x.shape).map((stride, a) => (x.shape[a] === 1 ? 0 : stride))
    const added = new Array<number>(shape.length - x.shape.length).fill(0)
    const y = strided(x, shape, [...added, ...strides])
    return y && [y]
  },
})
