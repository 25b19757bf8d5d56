/**
 * Where a node does without channels that have to stay for others, it may read a selection of its own: the two sides of such
 * an edge need not shrink alike. Where it needs constants of a value only to add them to something, these need not be made: they
 * are put back in front of it. A Gather that selects all stands at each of these *cuts* while it is decided what goes; channels
 * may go from one side of it (`AxisLink.selects`). The price decides whether they do (`decide.ts`), and a Gather that still
 * selects everything is taken out again.
 */
import { freshNames, producersOf } from '../../ir/analysis.ts'
import { contextOf, type Graph, withParts } from '../../ir/graph.ts'
import { placeOf } from '../../ir/links.ts'
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
  const nodes = graph.nodes.map((node) => {
    const view = viewOf(graph, node)
    if (view === undefined || view.links === 'opaque') return node
    const inputs = node.inputs.map((value, port) => {
      if (value === '' || graph.constants.has(value)) return value
      // Along one axis of an input, which is all that is ever met.
      for (const axis of ownAxesOf(graph, value).keys()) {
        if (!mayCut(graph, view, port, axis)) continue
        const need = facts.partial(node).find((one) => one.port === port && one.axis === axis)
        const isLess = need !== undefined && doesWithout(graph, facts, value, need)
        if (isLess || needsConstants(graph, facts, view, port, axis))
          return cut(value, axis, isLess ? need.marks.join('') : '')
      }
      return value
    })
    return inputs.every((input, port) => input === node.inputs[port]) ? node : { ...node, inputs }
  })
  if (known.size === 0) return undefined
  const placed = nodes.flatMap((node, at) => [node, ...(cuts.get(graph.nodes[at]) ?? [])])
  return {
    graph: withParts(graph, { nodes: [...(cuts.get(undefined) ?? []), ...placed], constants }),
    drop: (shrunk) => dropIdle(shrunk, new Set(known.values())),
  }
}

/** Not along heads and their places, which do not go one by one, nor in front of what selects already. */
const mayCut = (graph: Graph, view: NodeView, port: number, axis: number): boolean => {
  const value = view.node.inputs[port] ?? ''
  const joint = jointOf(graph, value)
  if (joint?.outer === axis || joint?.inner === axis || !trackingOf(graph).tracked(value, axis)) return false
  if (view.links === 'opaque') return false
  return !view.links.some(
    ({ input, inputAxis, from, into, selects }) =>
      input === port && inputAxis === axis && (selects !== undefined || (from?.onto === false && into === undefined)),
  )
}

/** Whether what is needed of a value leaves out channels that stay. */
const doesWithout = (graph: Graph, facts: ChannelFacts, value: ValueId, { axis, marks }: PartialNeed): boolean => {
  const live = facts.live(value, axis)
  return marks.some(
    (mark, i) =>
      mark === 0 && (live?.[i] === 1 ? !facts.isGiven(value, axis, i) : isMadeForOthers(graph, facts, value, axis, i)),
  )
}

/** Whether a node needs constants of an input for outputs that are none: in a sum with what is computed. */
const needsConstants = (
  graph: Graph,
  facts: ChannelFacts,
  { node, links, contraction, statistics }: NodeView,
  port: number,
  axis: number,
): boolean => {
  const value = node.inputs[port] ?? ''
  const maker = producersOf(graph).get(value)
  const made = maker && viewOf(graph, maker)
  // What selects them already may have put them there.
  if (links === 'opaque' || made === undefined || selectionOf(made) !== undefined) return false
  if (contraction?.port === port || statistics.some((one) => one.port === port)) return false
  const constants = facts.constants(value, axis)
  if (constants === undefined) return false
  return links.some(({ input, inputAxis, output, outputAxis, from, into }) => {
    if (input !== port || inputAxis !== axis || from !== undefined || into !== undefined) return false
    const sum = node.outputs[output] ?? ''
    const live = facts.live(sum, outputAxis)
    return constants.some((c, i) => Number.isFinite(c) && live?.[i] === 1 && !facts.isGiven(sum, outputAxis, i))
  })
}

/** Whether the node that makes a channel which nothing needs has to read what it is made from all the same. */
const isMadeForOthers = (graph: Graph, facts: ChannelFacts, value: ValueId, axis: number, index: number): boolean => {
  const maker = producersOf(graph).get(value)
  const view = maker && viewOf(graph, maker)
  if (view === undefined || view.links === 'opaque' || view.mixing !== undefined) return true
  const output = view.node.outputs.indexOf(value)
  const isAlong = (link: AxisLink): boolean => link.output === output && link.outputAxis === axis
  // A softmax needs all that it compares.
  if (view.statistics.some((one) => one.links.some(isAlong))) return true
  if (!view.links.some(isAlong)) return view.contraction?.outputAxis !== axis
  return view.links.some((link) => {
    const input = view.node.inputs[link.input] ?? ''
    if (!isAlong(link) || link.into !== undefined) return false
    if (input === '' || graph.constants.has(input)) return false
    const from = link.from === undefined ? index : placeOf(link.from, index)
    const need = facts.partial(view.node).find((one) => one.port === link.input && one.axis === link.inputAxis)
    return from >= 0 && need?.marks[from] !== 0
  })
}

/** How a node selects channels of its input. */
export interface Selection {
  readonly link: AxisLink
  /** Whether it selects all that is there, as a cut does at first. */
  readonly isWhole: boolean
  readonly restores: boolean
}

export const selectionOf = ({ op, ctx, links }: NodeView): Selection | undefined => {
  const link = links === 'opaque' ? undefined : links.find(({ selects }) => selects !== undefined)
  if (link === undefined) return undefined
  return { link, isWhole: op.identity?.(ctx) === 0, restores: link.selects?.restores === true }
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
