import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { integersOn } from '../families/movement.ts'
import { reshaping } from '../families/reshaping.ts'
import { gatherOperands } from '../gather-operands.ts'
import { isGiven } from '../infer.ts'
import { inputShape } from '../links.ts'
import { makeNode } from '../make-node.ts'
import type { OpDef } from '../op.ts'
import { int64s } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'
import { Identity } from './identity.ts'

export interface SqueezeAttributes {
  /** An input since opset 13. */
  readonly axes: ReadonlyArray<number> | undefined
}

/** Leaves out axes of size 1: the given ones, or all. */
export const Squeeze: OpDef<'Squeeze', SqueezeAttributes> = {
  ...reshaping<'Squeeze', SqueezeAttributes>('Squeeze', [1, Infinity], { axes: optionalInts }, (ctx, from) => {
    const axes = ctx.attrs.axes ?? integersOn(ctx, 1)
    if (axes === undefined) {
      return E.right(isGiven(ctx, 1) || !from.every(isStatic) ? undefined : from.filter((dim) => dim !== 1))
    }
    // The specification does not say whether an empty list means none or all.
    if (axes.length === 0) return E.left('axes is empty')
    const gone = new Set<number>()
    for (const axis of axes) {
      const at = normalizeAxis(axis, from.length)
      const dim = at === undefined ? undefined : from[at]
      if (at === undefined || (isStatic(dim) && dim !== 1)) return E.left(`axis ${axis} of [${from.join(',')}]`)
      gone.add(at)
    }
    return E.right(from.filter((_, a) => !gone.has(a)))
  }),
  // Without axes, one that shrinks to 1 would vanish.
  shrink: (s) => {
    const rewrite = gatherOperands(s)
    if (s.attrs.axes !== undefined || isGiven(s, 1)) return rewrite
    const axes = (inputShape(s, 0) ?? []).flatMap((dim, axis) => (dim === 1 ? [axis] : []))
    if (axes.length === 0) {
      return {
        ...rewrite,
        nodes: rewrite.nodes.map((node) => makeNode(Identity, node.inputs, node.outputs, {}, node.name)),
      }
    }
    if (s.opset < 13) return { ...rewrite, nodes: rewrite.nodes.map((node) => ({ ...node, attrs: { axes } })) }
    const name = s.fresh(`${s.node.outputs[0] ?? ''}_axes`)
    return {
      nodes: rewrite.nodes.map((node) => ({ ...node, inputs: [node.inputs[0] ?? '', name] })),
      constants: new Map([...rewrite.constants, [name, int64s(axes)]]),
    }
  },
}
