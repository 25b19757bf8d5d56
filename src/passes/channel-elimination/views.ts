/** What the phases ask of a node's operator, asked once. */
import { type Reads, readsOfContraction } from '../../ir/families/contraction.ts'
import { memoized } from '../../ir/analysis.ts'
import { contextOf, type Graph, labelOf, readsOf } from '../../ir/graph.ts'
import { shapeOf } from '../../ir/links.ts'
import type { AxisLink, Contraction, Mixing, Node, NodeContext, Pair, Statistics, ValueId } from '../../ir/op.ts'
import { type AnyOp, opOf } from '../../ir/registry.ts'
import { isStatic } from '../../ir/type.ts'
import { type BoundJoint, jointLinks, mixedJoints } from './joints.ts'

/** A node with everything the phases ask its operator, asked once. */
export interface NodeView {
  readonly node: Node
  readonly op: AnyOp
  readonly ctx: NodeContext<unknown>
  /** Those of the operator and those of its statistics. */
  readonly links: ReadonlyArray<AxisLink> | 'opaque'
  readonly contraction: Contraction | undefined
  readonly pairs: ReadonlyArray<Pair>
  readonly reads: Reads | undefined
  readonly statistics: ReadonlyArray<Statistics>
  readonly mixing: Mixing | undefined
  readonly selection: Selection | undefined
}

/** How a node selects channels of its input. */
export interface Selection {
  readonly link: AxisLink
  /** Whether it selects all that is there, as a cut does at first. */
  readonly isWhole: boolean
  readonly restores: boolean
}

export const viewsOf = (graph: Graph): ReadonlyArray<NodeView> => structureOf(graph).views

/** The joint axis of a value, which is the one behind its own. */
export const jointOf = (graph: Graph, value: ValueId): BoundJoint | undefined => structureOf(graph).joints.get(value)

const structureOf = memoized((graph) => {
  const sums = new Map<ValueId, number>()
  const joints = new Map<ValueId, BoundJoint>()
  const bind = (value: ValueId, by?: Node): void => {
    const joint = joints.get(value)
    if (joint === undefined || joint.isBound) return
    joints.set(value, { ...joint, isBound: true, ...(by && { boundBy: labelOf(by) }) })
  }
  const views = graph.nodes.map((node): NodeView => {
    const op = opOf(node)
    const ctx = { ...contextOf(graph, node), sumsToOne: (port: number) => sums.get(node.inputs[port] ?? '') }
    const summed = op.sumsToOne?.(ctx)
    if (summed !== undefined) sums.set(node.outputs[0] ?? '', summed)
    const own = op.links === 'opaque' ? 'opaque' : op.links(ctx)
    if (own === 'opaque') {
      for (const input of readsOf(node)) bind(input, node)
      return {
        node,
        op,
        ctx,
        links: own,
        contraction: undefined,
        reads: undefined,
        pairs: [],
        mixing: undefined,
        selection: undefined,
        statistics: [],
      }
    }
    const selecting = own.find(({ selects }) => selects !== undefined)
    const contraction = op.contraction?.(ctx)
    const reads = contraction && readsOfContraction(ctx, contraction)
    const pairs = contraction === undefined ? (op.pairs?.(ctx) ?? []) : []
    const jointAt = (port: number): BoundJoint | undefined => joints.get(node.inputs[port] ?? '')
    const joint = jointLinks(ctx, own, pairs, jointAt)
    const mixing = op.mixes?.(ctx)
    const mixed = mixedJoints(ctx, mixing, jointAt)
    node.outputs.forEach((output, k) => {
      const made = mixed.made[k] ?? joint.made[k]
      if (made === undefined || output === '') return
      joints.set(output, made.isBound ? { ...made, boundBy: labelOf(node) } : made)
    })
    for (const port of joint.binds) {
      if (mixed.follows.includes(port)) continue
      const { outer, inner } = joints.get(node.inputs[port] ?? '') ?? { outer: 0, inner: 0 }
      const isIgnored = [outer, inner].every((axis) => op.ignores?.(ctx, port, axis) === true)
      if (!isIgnored) bind(node.inputs[port] ?? '', node)
    }
    const statistics = op.statistics?.(ctx) ?? []
    const links = [...own, ...joint.links, ...statistics.flatMap((one) => one.links)]
    return {
      node,
      op,
      ctx,
      links,
      contraction,
      reads,
      pairs: [...pairs, ...joint.pairs],
      mixing,
      statistics,
      selection: selecting && {
        link: selecting,
        isWhole: op.identity?.(ctx) === 0,
        restores: selecting.selects?.restores === true,
      },
    }
  })
  for (const { name } of graph.outputs) bind(name)
  for (const name of graph.preserved.uses) bind(name)
  return { views, joints }
})

/** The pair that an axis of an input is summed over in, and the side of its other operand. */
export const partnerOf = (
  pairs: ReadonlyArray<Pair>,
  port: number,
  axis: number,
): { readonly pair: Pair; readonly side: 0 | 1 } | undefined => {
  for (const pair of pairs) {
    const { ports, axes } = pair
    if (ports[0] === port && axes[0] === axis) return { pair, side: 1 }
    if (ports[1] === port && axes[1] === axis) return { pair, side: 0 }
  }
  return undefined
}

export const viewOf = (graph: Graph, node: Node): NodeView | undefined => viewsByNode(graph).get(node)

const viewsByNode = memoized((graph) => new Map(viewsOf(graph).map((view) => [view.node, view])))

/** Sizes of a value's own axes, undefined where not static. */
export const ownAxesOf = (graph: Graph, value: ValueId): ReadonlyArray<number | undefined> =>
  shapeOf(graph.types.get(value))?.map((dim) => (isStatic(dim) ? dim : undefined)) ?? []

/** Sizes of a value's axes, undefined where not static: its own, and behind them that of its joint axis. */
export const axesOf = (graph: Graph, value: ValueId): ReadonlyArray<number | undefined> => {
  const [own, joint] = [ownAxesOf(graph, value), jointOf(graph, value)]
  return joint === undefined ? own : [...own, joint.outerSize * joint.innerSize]
}

/** A channel: index `index` along `axis` of `value`. */
export interface Channel {
  readonly value: ValueId
  readonly axis: number
  readonly index: number
}
