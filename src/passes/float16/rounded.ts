/**
 * A model in half precision as one in float32: what is computed in half precision is computed in float32 and rounded, node by node.
 * It is what a GPU computes that sums up in float32, while ONNX Runtime's CPU provider takes conversions between two
 * nodes out, and with them rounding and overflow.
 */
import { freshNames } from '../../ir/analysis.ts'
import { dtypes } from '../../ir/dtype.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Cast } from '../../ir/ops/cast.ts'
import { halfNumbers } from './constants.ts'
import type { Plan } from './plan.ts'
import { clipped } from './rewrite.ts'

const numberOf = (dtype: 'float16' | 'float32'): number => dtypes.indexOf(dtype) + 1

/** `graph` in float32, rounded as `plan` does. */
export const rounded = (graph: Graph, plan: Plan): Graph => {
  const fresh = freshNames(graph)
  const nodes: Node[] = []
  const constants = new Map(graph.constants)
  /** By name, what nodes in half precision read instead; results of theirs are rounded for all. */
  const near = new Map<ValueId, ValueId>()
  const round = (from: ValueId, to: ValueId): void => {
    const between = fresh(`${to}_float16`)
    nodes.push(makeNode(Cast, [from], [between], { to: numberOf('float16') }))
    nodes.push(makeNode(Cast, [between], [to], { to: numberOf('float32') }))
  }
  const nearest = (name: ValueId): ValueId => {
    const known = near.get(name)
    if (known !== undefined) return known
    const to = fresh(`${name}_rounded`)
    near.set(name, to)
    const constant = graph.constants.get(name)
    if (constant !== undefined) constants.set(to, halfNumbers(constant))
    else if (!plan.beyond.has(name)) round(name, to)
    else {
      const clip = clipped(graph, name, fresh)
      nodes.push(clip.node)
      for (const [limit, tensor] of clip.constants) constants.set(limit, tensor)
      round(clip.node.outputs[0] ?? name, to)
    }
    return to
  }
  for (const node of graph.nodes) {
    const half = plan.nodes.get(node)
    const inputs = node.inputs.map((name, port) => (half?.inputs.has(port) === true ? nearest(name) : name))
    const moved: Array<readonly [from: ValueId, to: ValueId]> = []
    const outputs = node.outputs.map((name) => {
      if (half?.outputs.includes(name) !== true) return name
      near.set(name, name)
      const exact = fresh(`${name}_exact`)
      moved.push([exact, name])
      return exact
    })
    nodes.push({ ...node, inputs, outputs })
    for (const [from, to] of moved) round(from, to)
  }
  return withParts(graph, { nodes, constants })
}
