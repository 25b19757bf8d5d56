/** Nodes with other constant operands. */
import type { Naming, Node, Rewrite, ShrinkContext, ValueId } from './op.ts'
import { gather, type Tensor } from './tensor.ts'

/** `node` with other constants on some ports; one on a port that was not there before is named like `hint`. */
export const replaceOperands = (
  node: Node,
  operands: ReadonlyMap<number, Tensor>,
  names: Naming,
  hint = '',
): Rewrite => {
  const constants = new Map<ValueId, Tensor>()
  const ports = Math.max(node.inputs.length, ...Array.from(operands.keys(), (port) => port + 1))
  const inputs = Array.from({ length: ports }, (_, port) => {
    const input = node.inputs[port] ?? ''
    const tensor = operands.get(port)
    if (tensor === undefined) return input
    const name = names.rename(port, input || hint)
    constants.set(name, tensor)
    return name
  })
  return { nodes: [{ ...node, inputs }], constants }
}

/** The same node, its constant operands gathered along the axes that shrink. */
export const gatherOperands = (s: ShrinkContext<unknown>): Rewrite => {
  const operands = new Map<number, Tensor>()
  for (const port of s.node.inputs.keys()) {
    const tensor = s.constant(port)
    const selected = tensor && gatherOperand(s, port, tensor)
    if (selected !== undefined && selected !== tensor) operands.set(port, selected)
  }
  return replaceOperands(s.node, operands, s)
}

/** What stays of the constant `tensor` on a port. */
export const gatherOperand = (s: ShrinkContext<unknown>, port: number, tensor: Tensor): Tensor =>
  tensor.shape.reduce<Tensor>((selected, _, axis) => {
    const kept = s.keptInput(port, axis)
    return kept === undefined ? selected : gather(selected, axis, kept)
  }, tensor)
