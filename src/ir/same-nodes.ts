/** Whether graphs are the same, node by node. */
import { sameTensor } from './equal.ts'
import type { Graph } from './graph.ts'
import type { Node } from './op.ts'
import { encodeAttributes } from './registry.ts'

/** Whether two graphs with the same interface have the same nodes and constants, under the same names. */
export const sameNodes = (a: Graph, b: Graph): boolean =>
  a.nodes.length === b.nodes.length &&
  a.constants.size === b.constants.size &&
  a.nodes.every((node, i) => isSameNode(node, b.nodes[i])) &&
  [...a.constants].every(([name, tensor]) => {
    const other = b.constants.get(name)
    return other !== undefined && sameTensor(tensor, other)
  })

const isSameNode = (a: Node, b: Node | undefined): boolean =>
  a === b ||
  (b !== undefined &&
    a.op === b.op &&
    a.name === b.name &&
    a.inputs.join() === b.inputs.join() &&
    a.outputs.join() === b.outputs.join() &&
    attributesOf(a) === attributesOf(b))

const attributesOf = (node: Node): string =>
  [...encodeAttributes(node)].map(([key, raw]) => `${key} ${raw.kind} ${String(raw.value)}`).join('\n')
