import * as E from 'fp-ts/lib/Either.js'
import { producersOf } from '../ir/analysis.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { isOpaque, opOf } from '../ir/registry.ts'
import { handOn } from '../ir/wiring.ts'
import type { Pass } from './pass.ts'
import type { OpaqueNode, Subgraph, Subgraphs } from './subgraphs.ts'

/**
 * A state that a body hands on as it is stays what it was at first: the body captures that instead, so that a constant is known
 * there, and behind the node stands the same. It holds when no step is taken, too.
 */
export const hoistInvariantState = (subgraphs: Subgraphs): Pass => ({
  name: 'hoist-invariant-state',
  run: (graph) => {
    const nodes = graph.nodes.flatMap((node) => {
      if (!isOpaque(node) || node.attrs.defines.length === 0) return [node]
      const ports = invariantPorts(graph, node, subgraphs)
      return ports.length === 0 ? [node] : (withoutStates(graph, node, ports, subgraphs) ?? [node])
    })
    return E.right(nodes.every((node, i) => node === graph.nodes[i]) ? graph : withParts(graph, { nodes }))
  },
})

/** The first opset of which Identity takes all that a state may be: sequences and optional values besides tensors. */
const firstIdentityOfAll = 16

/** The inputs of a node that are states which its body hands on as they are. */
const invariantPorts = (graph: Graph, node: OpaqueNode, subgraphs: Subgraphs): ReadonlyArray<number> => {
  const crossings = subgraphs.crossings(node, graph)
  const [body] = (crossings?.some(({ into, out }) => into && out) && subgraphs.open(node, graph)) || []
  if (crossings === undefined || body === undefined) return []
  const sourceOf = (name: ValueId): ValueId => {
    for (let at = name; ;) {
      const maker = producersOf(body.graph).get(at)
      const port = maker && opOf(maker).identity?.(contextOf(body.graph, maker))
      if (maker === undefined || port === undefined || maker.outputs[0] !== at) return at
      at = maker.inputs[port] ?? ''
    }
  }
  const takesAll = (graph.opsets.get('') ?? 0) >= firstIdentityOfAll
  return crossings.flatMap(({ into, out }) => {
    if (into === undefined || out === undefined) return []
    const [first, last] = [body.graph.inputs[into.index]?.name, body.graph.outputs[out.index]?.name]
    if (first === undefined || last === undefined || sourceOf(last) !== first) return []
    const types = [graph.types.get(node.inputs[into.port] ?? ''), body.graph.types.get(first)]
    return takesAll || types.some((type) => type?.kind === 'tensor') ? [into.port] : []
  })
}

/**
 * A node whose body captures what states are at first instead of carrying them, and what hands these on to where they are read
 * behind it; undefined where that cannot be written.
 */
export const withoutStates = (
  graph: Graph,
  node: OpaqueNode,
  ports: ReadonlyArray<number>,
  subgraphs: Subgraphs,
): ReadonlyArray<Node> | undefined => {
  const [body] = subgraphs.open(node, graph) ?? []
  const states = subgraphs.crossings(node, graph)?.flatMap(({ into, out }) => (into && out ? [{ into, out }] : []))
  const gone = states?.filter(({ into }) => ports.includes(into.port))
  if (body === undefined || gone === undefined) return undefined
  const isGone = (side: 'into' | 'out', at: 'port' | 'index', k: number): boolean =>
    gone.some((state) => state[side][at] === k)
  const firsts = gone.map(({ into }) => node.inputs[into.port] ?? '')
  // A body that calls something of its own so does not see it.
  if (firsts.some((name) => node.attrs.defines.includes(name))) return undefined
  const inputs = body.graph.inputs.filter((_, k) => !isGone('into', 'index', k))
  const constants = new Map(body.graph.constants)
  for (const name of new Set(firsts)) {
    const tensor = graph.constants.get(name)
    const type = graph.types.get(name)
    if (tensor !== undefined) constants.set(name, tensor)
    else if (type !== undefined && !inputs.some((input) => input.name === name)) inputs.push({ name, type })
  }
  const next: Subgraph = {
    ...body,
    graph: withParts(body.graph, {
      inputs,
      constants,
      outputs: body.graph.outputs.filter((_, k) => !isGone('out', 'index', k)),
      nodes: [
        ...gone.map(({ into }, i) => handOn(firsts[i] ?? '', body.graph.inputs[into.index]?.name ?? '')),
        ...body.graph.nodes,
      ],
    }),
  }
  const captures = [...new Set([...node.attrs.captures, ...firsts])]
  const told = { ...node, attrs: { ...node.attrs, captures } }
  const closed = subgraphs.close(told, graph, [next])
  if (closed === told) return undefined
  const handed = gone.flatMap(({ out }, i) => {
    const name = node.outputs[out.port] ?? ''
    return name === '' ? [] : [handOn(firsts[i] ?? '', name)]
  })
  const kept = {
    ...closed,
    inputs: node.inputs.filter((_, k) => !isGone('into', 'port', k)),
    outputs: node.outputs.filter((_, k) => !isGone('out', 'port', k)),
  }
  return [kept, ...handed]
}
