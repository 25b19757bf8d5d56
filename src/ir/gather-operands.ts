import type { Rewrite, ShrinkContext, ValueId } from './op.ts'
import { gather, type Tensor } from './tensor.ts'

/**
 * The same node, its constant operands gathered along the axes that shrink. `given` holds operands that the operator
 * shrank itself, by port; a port that was not there before is named like `hint`.
 */
export const gatherOperands = (
  s: ShrinkContext<unknown>,
  given: ReadonlyMap<number, Tensor> = new Map(),
  hint = '',
): Rewrite => {
  const constants = new Map<ValueId, Tensor>()
  const ports = Math.max(s.node.inputs.length, ...Array.from(given.keys(), (port) => port + 1))
  const inputs = Array.from({ length: ports }, (_, port) => {
    const input = s.node.inputs[port] ?? ''
    const tensor = s.constant(port)
    const selected = given.get(port) ?? (tensor && gatherOperand(s, port, tensor))
    if (selected === undefined || selected === tensor) return input
    const name = s.rename(port, input || hint)
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
