import type { Rewrite, ShrinkContext, ValueId } from './op.ts'
import { gather, type Tensor } from './tensor.ts'

/** The same node, its constant operands gathered along the axes that shrink. */
export const gatherOperands = (s: ShrinkContext<unknown>): Rewrite => {
  const constants = new Map<ValueId, Tensor>()
  const inputs = s.node.inputs.map((input, port) => {
    const tensor = s.constant(port)
    if (tensor === undefined) return input
    const selected = gatherOperand(s, port, tensor)
    if (selected === tensor) return input
    const name = s.rename(port, input)
    constants.set(name, selected)
    return name
  })
  return { nodes: [{ ...s.node, inputs }], constants }
}

/** What stays of the constant `tensor` on a port. */
export const gatherOperand = (s: ShrinkContext<unknown>, port: number, tensor: Tensor): Tensor =>
  tensor.shape.reduce<Tensor>((selected, _, axis) => {
    const kept = s.keptInput(port, axis)
    return kept === undefined ? selected : gather(selected, axis, kept)
  }, tensor)
