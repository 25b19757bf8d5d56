import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, producersOf, usersOf } from '../ir/analysis.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { sameType, unknownType, type ValueType } from '../ir/type.ts'
import type { Pass } from './pass.ts'

/**
 * Removes nodes whose output 0 is exactly one of their inputs (`OpDef.identity`): `y = x`, so readers of `y` read `x`.
 *
 * Guards: no other output of the node is read or has a fixed name. Where `y` has a fixed name (graph output, captured
 * by a subgraph, named by preserved parts), the node that computes `x` takes the name `y` instead, if a node computes
 * `x` and `x` has no fixed name itself; a graph input or a constant wired straight to a graph output keeps its node.
 * What only the type of `y` knows is declared of the value that stays; a graph input cannot take that, and keeps the node.
 */
export const eliminateIdentity: Pass = {
  name: 'eliminate-identity',
  run: (graph) => E.right(withoutIdentities(graph)),
}

const withoutIdentities = (graph: Graph): Graph => {
  const fixed = fixedNames(graph)
  const producers = producersOf(graph)
  const hints = new Map<ValueId, ValueType>(graph.hints)
  /** Removed outputs by what stands for them, and values that take the fixed name of one. */
  const replaced = new Map<ValueId, ValueId>()
  const renamed = new Map<ValueId, ValueId>()
  const resolve = (name: ValueId): ValueId => replaced.get(name) ?? name
  /** Values that have taken the type of a removed output: they take no second one. */
  const declared = new Set<ValueId>()
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const [y] = node.outputs
    const port = opOf(node).identity?.(contextOf(graph, node))
    const x = port === undefined ? undefined : resolve(node.inputs[port] ?? '')
    if (x === undefined || x === '' || y === undefined || y === '' || !isOnlyRead(graph, fixed, node)) {
      nodes.push(node)
      continue
    }
    const declare = typeToDeclare(graph, x, y)
    const produced = producers.has(x)
    const free = !fixed.has(x) && !renamed.has(x)
    if ((declare !== undefined && !(produced && !declared.has(x))) || (fixed.has(y) && !(produced && free))) {
      nodes.push(node)
      continue
    }
    if (declare !== undefined) {
      hints.set(x, declare)
      declared.add(x)
    }
    if (fixed.has(y)) renamed.set(x, y)
    else replaced.set(y, x)
  }
  if (nodes.length === graph.nodes.length) return graph
  for (const y of replaced.keys()) hints.delete(y)
  for (const [x, y] of renamed) {
    const hint = hints.get(x) ?? hints.get(y)
    hints.delete(x)
    if (hint !== undefined) hints.set(y, hint)
  }
  const nameOf = (name: ValueId): ValueId => renamed.get(resolve(name)) ?? resolve(name)
  const isMoved = (name: ValueId): boolean => nameOf(name) !== name
  const rewired = nodes.map((node) =>
    node.inputs.some(isMoved) || node.outputs.some(isMoved)
      ? { ...node, inputs: node.inputs.map(nameOf), outputs: node.outputs.map(nameOf) }
      : node,
  )
  return withParts(graph, { nodes: rewired, hints })
}

/** Whether nothing needs an output of `node` other than the first. */
const isOnlyRead = (graph: Graph, fixed: ReadonlySet<ValueId>, node: Node): boolean =>
  node.outputs.slice(1).every((output) => output === '' || (!fixed.has(output) && !usersOf(graph).has(output)))

/** The type of `y` where it says more than that of `x`. */
const typeToDeclare = (graph: Graph, x: ValueId, y: ValueId): ValueType | undefined => {
  const type = graph.types.get(y) ?? unknownType
  return sameType(graph.types.get(x) ?? unknownType, type) ? undefined : type
}
