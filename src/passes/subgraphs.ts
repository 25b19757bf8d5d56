/** Nodes with subgraphs (If, Loop, Scan), which the graph keeps as bytes: how passes look into them. */
import type { Graph } from '../ir/graph.ts'
import type { Node } from '../ir/op.ts'
import type { OpaqueAttributes } from '../ir/ops/opaque.ts'

export type OpaqueNode = Node<'Opaque', OpaqueAttributes>

/** A subgraph as a graph of its own: what it captures are inputs of it, behind its own, or constants. */
export interface Subgraph {
  /** The attribute that holds it. */
  readonly name: string
  readonly graph: Graph
}

/** A value that crosses the edge between a node and its bodies. */
export interface Crossing {
  /** What goes in: the node's input on a port, which bodies read as the input at an index of theirs. */
  readonly into?: { readonly port: number; readonly index: number }
  /** What comes out: the output at an index of all bodies, which is the node's on a port. With `into` it is a state, carried from step to step. */
  readonly out?: { readonly port: number; readonly index: number }
  /** The axis of the value outside along which each step has one slice; it may be counted from the back. */
  readonly along?: number
}

/** Reads and writes subgraphs; given from outside, since passes know no files. */
export interface Subgraphs {
  /** The subgraphs of a node of `graph`, in the order of its attributes; undefined where one is not looked into. */
  readonly open: (node: OpaqueNode, graph: Graph) => ReadonlyArray<Subgraph> | undefined
  /**
   * The multiply-accumulates of a node, by those of its subgraphs: as often as a body runs, once where that is not known, and of
   * branches the larger one. What a body carries from step to step is of the sizes that it has at first.
   */
  readonly macs: (node: OpaqueNode, graph: Graph, macsOf: (subgraph: Graph) => number) => number
  /** The graph, for counting: what bodies carry from step to step is behind them of the sizes that it has at first, where these stay. */
  readonly sized: (graph: Graph) => Graph
  /** What crosses the edge of a node, captured values aside; undefined for an operator that is not known, or a node that misses operands. */
  readonly crossings: (node: OpaqueNode, graph: Graph) => ReadonlyArray<Crossing> | undefined
  /** The node with other subgraphs: those that {@link open} gave, which define as many inputs and outputs. */
  readonly close: (node: OpaqueNode, graph: Graph, subgraphs: ReadonlyArray<Subgraph>) => OpaqueNode
}
