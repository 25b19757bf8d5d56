/** What the phases ask of a node's operator, asked once. */
import { type Reads, readsOfContraction } from '../../ir/families/contraction.ts'
import { memoized } from '../../ir/analysis.ts'
import { contextOf, type Graph } from '../../ir/graph.ts'
import { shapeOf } from '../../ir/links.ts'
import type { AxisLink, Contraction, Node, NodeContext, Statistics, ValueId } from '../../ir/op.ts'
import { type AnyOp, opOf } from '../../ir/registry.ts'
import { isStatic } from '../../ir/type.ts'

/** A node with everything the phases ask its operator, asked once. */
export interface NodeView {
  readonly node: Node
  readonly op: AnyOp
  readonly ctx: NodeContext<unknown>
  /** Those of the operator and those of its statistics. */
  readonly links: ReadonlyArray<AxisLink> | 'opaque'
  readonly contraction: Contraction | undefined
  readonly reads: Reads | undefined
  readonly statistics: Statistics | undefined
}

export const viewsOf = memoized((graph): ReadonlyArray<NodeView> =>
  graph.nodes.map((node) => {
    const op = opOf(node)
    const ctx = contextOf(graph, node)
    const own = op.links === 'opaque' ? 'opaque' : op.links(ctx)
    const contraction = own === 'opaque' ? undefined : op.contraction?.(ctx)
    const reads = contraction && readsOfContraction(ctx, contraction)
    const statistics = own === 'opaque' ? undefined : op.statistics?.(ctx)
    const links = own === 'opaque' || statistics === undefined ? own : [...own, ...statistics.links]
    return { node, op, ctx, links, contraction, reads, statistics }
  }),
)

export const viewOf = (graph: Graph, node: Node): NodeView | undefined => viewsByNode(graph).get(node)

const viewsByNode = memoized((graph) => new Map(viewsOf(graph).map((view) => [view.node, view])))

/** Sizes of a value's axes, undefined where not static. */
export const axesOf = (graph: Graph, value: ValueId): ReadonlyArray<number | undefined> =>
  shapeOf(graph.types.get(value))?.map((dim) => (isStatic(dim) ? dim : undefined)) ?? []

/** A channel: index `index` along `axis` of `value`. */
export interface Channel {
  readonly value: ValueId
  readonly axis: number
  readonly index: number
}
