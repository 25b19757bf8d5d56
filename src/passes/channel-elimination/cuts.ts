/**
 * Where a node does without channels that have to stay for others, it may read a selection of its own: the two sides of such
 * an edge need not shrink alike. Where it needs constants of a value only to add them to something, these need not be made: they
 * are put back in front of it. A Gather that selects all stands at each of these *cuts* while it is decided what goes; channels
 * may go from one side of it (`AxisLink.selects`). The price decides whether they do (`decide.ts`), and a Gather that still
 * selects everything is taken out again.
 */
import { freshNames, producersOf } from '../../ir/analysis.ts'
import { contextOf, type Graph, withParts } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { AxisLink, Node, ValueId } from '../../ir/op.ts'
import { Gather } from '../../ir/ops/gather.ts'
import { opOf } from '../../ir/registry.ts'
import { int64s } from '../../ir/tensor.ts'
import type { ChannelFacts } from './analyse.ts'
import type { PartialNeed } from './liveness.ts'
import { trackingOf } from './tracking.ts'
import { jointOf, type NodeView, ownAxesOf, viewOf } from './views.ts'

/** A graph with cuts, and what becomes of it without those that still select everything. */
export interface Cut {
  readonly graph: Graph
  readonly drop: (shrunk: Graph) => Graph
}

/**
 * A cut wherever a node does without channels that stay, or needs constants that are made only for it; undefined where there is no
 * such place.
 */
export const insertCuts = (graph: Graph, facts: ChannelFacts): Cut | undefined => {
  const fresh = freshNames(graph)
  const producers = producersOf(graph)
  const constants = new Map(graph.constants)
  /** By value, and what is needed behind them. */
  const known = new Map<string, ValueId>()
  const cuts = new Map<Node | undefined, Node[]>()
  const cut = (value: ValueId, axis: number, needs: string): ValueId => {
    const key = `${axis} ${needs} ${value}`
    const found = known.get(key)
    if (found !== undefined) return found
    const [output, indices] = [fresh(`${value}_selected`), fresh(`${value}_selection`)]
    const size = ownAxesOf(graph, value)[axis] ?? 0
    constants.set(indices, int64s(Array.from({ length: size }, (_, i) => i)))
    known.set(key, output)
    const maker = producers.get(value)
    const behind = cuts.get(maker) ?? []
    cuts.set(maker, behind)
    behind.push(makeNode(Gather, [value, indices], [output], { axis }))
    return output
  }
  const makers = heldByMakers(graph, facts)
  const nodes = graph.nodes.map((node) => {
    const view = viewOf(graph, node)
    if (view === undefined || view.links === 'opaque') return node
    const needs = facts.partial(node)
    const edges = edgesOf(graph, facts, view)
    if (edges.length === 0) return node
    const inputs = [...node.inputs]
    for (const { port, axis, links } of edges) {
      const value = node.inputs[port] ?? ''
      // Along one axis of an input, which is all that is ever met.
      if (inputs[port] !== value || !mayCut(graph, value, axis, links)) continue
      const need = needs.find((one) => one.port === port && one.axis === axis)
      const isLess = need !== undefined && doesWithout(facts, value, need, makers(value, axis))
      if (isLess || needsConstants(graph, facts, view, port, axis, links))
        inputs[port] = cut(value, axis, isLess ? need.marks.join('') : '')
    }
    return inputs.every((input, port) => input === node.inputs[port]) ? node : { ...node, inputs }
  })
  if (known.size === 0) return undefined
  const placed = nodes.flatMap((node, at) => [node, ...(cuts.get(graph.nodes[at]) ?? [])])
  return {
    graph: withParts(graph, { nodes: [...(cuts.get(undefined) ?? []), ...placed], constants }),
    drop: (shrunk) => dropIdle(shrunk, new Set(known.values())),
  }
}

/** An axis of an input that a node reads, with its links from there. */
interface Edge {
  readonly port: number
  readonly axis: number
  readonly links: ReadonlyArray<AxisLink>
}

/** The axes along which a node needs some channels of an input and others not, or along which some are known to be constant. */
const edgesOf = (graph: Graph, facts: ChannelFacts, { node, links }: NodeView): ReadonlyArray<Edge> => {
  const edges = new Map<string, Edge & { readonly links: AxisLink[] }>()
  const add = (port: number, axis: number): void => {
    edges.set(`${port} ${axis}`, { port, axis, links: [] })
  }
  for (const { port, axis } of facts.partial(node))
    if (axis < ownAxesOf(graph, node.inputs[port] ?? '').length) add(port, axis)
  node.inputs.forEach((value, port) => {
    if (value === '' || graph.constants.has(value)) return
    for (const axis of ownAxesOf(graph, value).keys()) if (typeof facts.known(value, axis) !== 'number') add(port, axis)
  })
  if (edges.size > 0 && links !== 'opaque')
    for (const link of links) edges.get(`${link.input} ${link.inputAxis}`)?.links.push(link)
  return [...edges.values()]
}

/** Not along heads and their places, which do not go one by one, nor in front of what selects already. */
const mayCut = (graph: Graph, value: ValueId, axis: number, links: ReadonlyArray<AxisLink>): boolean => {
  const joint = jointOf(graph, value)
  if (joint?.outer === axis || joint?.inner === axis || !trackingOf(graph).tracked(value, axis)) return false
  return !links.some(({ from, into, selects }) => selects !== undefined || (from?.onto === false && into === undefined))
}

/** Whether what is needed of a value leaves out channels that stay: others need them, or what they are made from. */
const doesWithout = (
  facts: ChannelFacts,
  value: ValueId,
  { axis, marks }: PartialNeed,
  held: (index: number) => boolean,
): boolean => {
  const live = facts.live(value, axis)
  return marks.some((mark, i) => mark === 0 && (live?.[i] === 1 ? !facts.isGiven(value, axis, i) : held(i)))
}

/** Whether a node needs constants of an input for outputs that are none: in a sum with what is computed. */
const needsConstants = (
  graph: Graph,
  facts: ChannelFacts,
  { node, contraction, statistics }: NodeView,
  port: number,
  axis: number,
  links: ReadonlyArray<AxisLink>,
): boolean => {
  const value = node.inputs[port] ?? ''
  const constants = facts.constants(value, axis)
  const maker = producersOf(graph).get(value)
  const made = maker && viewOf(graph, maker)
  // What selects them already may have put them there.
  if (constants === undefined || made === undefined || made.selection !== undefined) return false
  if (contraction?.port === port || statistics.some((one) => one.port === port)) return false
  return links.some(({ output, outputAxis, from, into }) => {
    if (from !== undefined || into !== undefined) return false
    const sum = node.outputs[output] ?? ''
    const live = facts.live(sum, outputAxis)
    return constants.some((c, i) => Number.isFinite(c) && live?.[i] === 1 && !facts.isGiven(sum, outputAxis, i))
  })
}

/** By axis of a value the channels for which the node that makes them needs what they are made from, needed or not. */
const heldByMakers = (graph: Graph, facts: ChannelFacts) => {
  const known = new Map<string, (index: number) => boolean>()
  return (value: ValueId, axis: number): ((index: number) => boolean) => {
    const key = `${axis} ${value}`
    const found = known.get(key) ?? heldBy(graph, facts, value, axis)
    known.set(key, found)
    return found
  }
}

const heldBy = (graph: Graph, facts: ChannelFacts, value: ValueId, axis: number): ((index: number) => boolean) => {
  const maker = producersOf(graph).get(value)
  const view = maker && viewOf(graph, maker)
  if (view === undefined || view.links === 'opaque' || view.mixing !== undefined) return () => true
  const output = view.node.outputs.indexOf(value)
  const isAlong = (link: AxisLink): boolean => link.output === output && link.outputAxis === axis
  // A softmax needs all that it compares.
  if (view.statistics.some((one) => one.links.some(isAlong))) return () => true
  const along = view.links.filter(isAlong)
  if (along.length === 0) return () => view.contraction?.outputAxis !== axis
  const needs = new Map(facts.partial(view.node).map((need) => [`${need.port} ${need.axis}`, need.marks]))
  const held = new Uint8Array(ownAxesOf(graph, value)[axis] ?? 0)
  for (const { input, inputAxis, from, into } of along) {
    const name = view.node.inputs[input] ?? ''
    if (into !== undefined || name === '' || graph.constants.has(name)) continue
    const marks = needs.get(`${input} ${inputAxis}`)
    const end = from?.end ?? held.length
    for (let i = from?.first ?? 0; i < end; i++) if (marks?.[from?.at(i) ?? i] !== 0) held[i] = 1
  }
  return (index) => held[index] === 1
}

/** The graph without those of the cuts that select everything. */
const dropIdle = (graph: Graph, cuts: ReadonlySet<ValueId>): Graph => {
  const sources = new Map<ValueId, ValueId>()
  const constants = new Map(graph.constants)
  const nodes = graph.nodes.flatMap((node) => {
    const [output = ''] = node.outputs
    const isIdle = cuts.has(output) && opOf(node).identity?.(contextOf(graph, node)) === 0
    if (isIdle) {
      sources.set(output, node.inputs[0] ?? '')
      constants.delete(node.inputs[1] ?? '')
      return []
    }
    return node.inputs.some((input) => sources.has(input))
      ? [{ ...node, inputs: node.inputs.map((input) => sources.get(input) ?? input) }]
      : [node]
  })
  return sources.size === 0 ? graph : withParts(graph, { nodes, constants })
}
