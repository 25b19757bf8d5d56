/** Facts derived from a graph, computed once per graph: graphs do not change, so nothing is ever invalidated. */
import { invariant } from './failure.ts'
import { type Graph, readsOf } from './graph.ts'
import type { Node, ValueId } from './op.ts'
import { Opaque } from './ops/opaque.ts'
import { isOp } from './registry.ts'

const memories: Array<WeakMap<Graph, unknown>> = []

/** A function of a graph that is computed once for each graph, until that is forgotten. */
export const memoized = <T>(compute: (graph: Graph) => T): ((graph: Graph) => T) => {
  const known = new WeakMap<Graph, { readonly value: T }>()
  memories.push(known)
  return (graph) => {
    const found = known.get(graph)
    if (found) return found.value
    const value = compute(graph)
    known.set(graph, { value })
    return value
  }
}

/** Drops what is remembered of a graph that another one has taken the place of: it takes more memory than the graph. */
export const forget = (graph: Graph): void => {
  for (const known of memories) known.delete(graph)
}

/** The node that defines each value; graph inputs and constants have none. */
export const producersOf = memoized((graph): ReadonlyMap<ValueId, Node> => {
  const out = new Map<ValueId, Node>()
  for (const node of graph.nodes) for (const output of node.outputs) if (output !== '') out.set(output, node)
  return out
})

/** The nodes that read each value, in graph order; a node that reads it twice is listed once. */
export const usersOf = memoized((graph): ReadonlyMap<ValueId, ReadonlyArray<Node>> => {
  const out = new Map<ValueId, Node[]>()
  for (const node of graph.nodes) {
    for (const input of new Set(readsOf(node))) {
      const users = out.get(input)
      if (users) users.push(node)
      else out.set(input, [node])
    }
  }
  return out
})

/**
 * Values that must keep their names: graph inputs and outputs, values that subgraphs capture, and values that preserved
 * parts of the model name.
 */
export const fixedNames = memoized((graph): ReadonlySet<ValueId> => {
  const out = new Set<ValueId>(graph.preserved.uses)
  for (const value of [...graph.inputs, ...graph.outputs]) out.add(value.name)
  for (const node of graph.nodes) if (isOp(node, Opaque)) for (const name of node.attrs.captures) out.add(name)
  return out
})

/** The values that are the same input of one node more than once. */
const readTwice = memoized((graph): ReadonlySet<ValueId> => {
  const out = new Set<ValueId>()
  for (const { inputs } of graph.nodes) {
    const seen = new Set<ValueId>()
    for (const input of inputs) {
      if (seen.has(input)) out.add(input)
      seen.add(input)
    }
  }
  return out
})

/** The only node that reads a value whose name is not fixed, and reads it once, not as a capture. */
export const onlyReader = (graph: Graph, value: ValueId): Node | undefined => {
  const users = usersOf(graph).get(value) ?? []
  const [reader] = users
  if (reader === undefined || users.length > 1 || fixedNames(graph).has(value)) return undefined
  return readTwice(graph).has(value) ? undefined : reader
}

/** The node that computes `value` as its only output. */
export const soleProducer = (graph: Graph, value: ValueId): Node | undefined => {
  const node = producersOf(graph).get(value)
  return node?.outputs.length === 1 ? node : undefined
}

/** Makes names that neither the graph nor its subgraphs use, the same ones for the same graph and hints. */
export const freshNames = (graph: Graph): ((hint: string) => ValueId) => {
  const taken = new Set<ValueId>([...graph.types.keys(), ...graph.preserved.uses])
  for (const node of graph.nodes) if (isOp(node, Opaque)) for (const name of node.attrs.defines) taken.add(name)
  return (hint) => {
    invariant(hint !== '', 'a new name is made from an empty hint')
    let name = hint
    for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`
    taken.add(name)
    return name
  }
}
