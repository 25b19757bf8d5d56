import { contextOf } from '../ir/graph.ts'
import { makeNode } from '../ir/make-node.ts'
import { isSameAlong } from '../ir/families/shifts.ts'
import { isFloat } from '../ir/dtype.ts'
import { cancels, precisionOf } from '../ir/numerics.ts'
import type { SliceFact } from '../ir/op.ts'
import { Identity } from '../ir/ops/identity.ts'
import { opOf } from '../ir/registry.ts'
import { elements } from '../ir/tensor.ts'
import { sameType, unknownType } from '../ir/type.ts'
import { rewritePass, type Rule } from './rewrite.ts'
import { freeAxes } from './shifts.ts'

/**
 * Leaves out constants that only move a value along an axis along which it may be moved: what is added to the scores of a softmax, the
 * same for all keys.
 *
 * Guards: the constant is the same along that axis, and small enough that it is not there to round what it is added to; the
 * result has the type of the other operand, which it is without the constant.
 */
const dropShift: Rule = (graph, node) => {
  const { shifts, passes } = opOf(node)
  const [output = ''] = node.outputs
  const free = freeAxes(graph)(output)
  if (shifts === undefined || passes === undefined || free.axes.size === 0) return undefined
  const ctx = contextOf(graph, node)
  for (const [port, input] of node.inputs.entries()) {
    const tensor = graph.constants.get(input)
    if (tensor === undefined || !isFloat(tensor.dtype)) continue
    const other = passes(
      ctx,
      node.inputs.map((_, at): SliceFact => (at === port ? 0 : undefined)),
    )
    const kept = node.inputs[other ?? -1]
    if (other === undefined || other === port || kept === undefined) continue
    if (!shifts(ctx, port, free).some((axis) => isSameAlong(ctx, port, axis))) continue
    if (!sameType(graph.types.get(kept) ?? unknownType, graph.types.get(output) ?? unknownType)) continue
    const precision = precisionOf(tensor.dtype)
    const isSmall = (x: number | bigint): boolean =>
      Number.isFinite(Number(x)) && !cancels(precision, Math.abs(Number(x)), 0, 1)
    if (!elements(tensor).every(isSmall)) continue
    return { nodes: [makeNode(Identity, [kept], [output], {})], constants: new Map(), removes: [node] }
  }
  return undefined
}

export const dropShifts = rewritePass('drop-shifts', [dropShift])
