/** The graph as a file holds it: constants that are held as smaller ones are made by nodes again. */
import { fixedNames, freshNames, usersOf } from './analysis.ts'
import { sameTensor } from './equal.ts'
import { type Graph, withParts } from './graph.ts'
import type { Node, ValueId } from './op.ts'
import { DequantizeLinear } from './ops/dequantize-linear.ts'
import { isOp } from './registry.ts'
import type { Tensor } from './tensor.ts'

/**
 * The same graph, each constant that a node made of smaller ones made by that node again, of parts under the names they had. Names in
 * `taken` stand for what they do, and for nothing else.
 */
export const writtenOut = (graph: Graph, taken: ReadonlySet<ValueId> = new Set()): Graph => {
  const held = [...graph.constants].filter(([, tensor]) => tensor.tag === 'Held')
  if (held.length === 0) return graph
  const isRead = (name: ValueId): boolean => usersOf(graph).has(name) || fixedNames(graph).has(name)
  const constants = new Map([...graph.constants].filter(([name, tensor]) => tensor.tag !== 'Held' && isRead(name)))
  const fresh = freshNames(graph)
  const nodes: Node[] = []
  for (const [name, tensor] of held) {
    if (tensor.tag !== 'Held' || tensor.node === undefined) continue
    const { node } = tensor
    const nameOf = (part: Tensor | undefined, port: number): ValueId => {
      if (part === undefined) return ''
      const old = node.inputs[port] || `${name}_part`
      const known = constants.get(old)
      if (known !== undefined && sameTensor(known, part)) return old
      const unread = graph.constants.get(old)
      const isOther = taken.has(old) && (unread === undefined || !sameTensor(unread, part))
      const isFree =
        known === undefined && !isOther && (unread === undefined ? !graph.types.has(old) : unread.tag !== 'Held')
      const free = isFree ? old : fresh(old)
      constants.set(free, part)
      return free
    }
    const inputs = [tensor.stored, tensor.scale, tensor.zero].map(nameOf)
    // Blocks that were taken apart are the only thing about a node that changes with what it is made from.
    const made =
      tensor.block !== undefined && isOp(node, DequantizeLinear)
        ? { ...node, attrs: { ...node.attrs, block_size: tensor.block } }
        : node
    nodes.push({ ...made, inputs: node.inputs.map((_, port) => inputs[port] ?? ''), outputs: [name] })
  }
  return withParts(graph, { nodes: [...nodes, ...graph.nodes], constants })
}
