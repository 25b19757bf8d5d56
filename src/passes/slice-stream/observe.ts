/** The model that computes, in place of its outputs, the moments of a residual stream: no activation leaves the runtime. */
import { freshNames } from '../../ir/analysis.ts'
import { dtypes } from '../../ir/dtype.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Cast, MatMul, Reshape, Transpose } from '../../ir/ops/index.ts'
import { int64s, type Tensor } from '../../ir/tensor.ts'
import { tensorType } from '../../ir/type.ts'
import type { Stream } from './find.ts'

export interface ObservedStream {
  readonly graph: Graph
  /** The output that holds Σ xᵀ·x of each value, float64 `[size, size]`. */
  readonly moments: ReadonlyMap<ValueId, ValueId>
}

/** `graph` with Σ xᵀ·x of the values of its stream, over all axes but the last, as its outputs. */
export const observeStream = (graph: Graph, { values }: Stream): ObservedStream => {
  const fresh = freshNames(graph)
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const moments = new Map<ValueId, ValueId>()
  for (const { value, size } of values.values()) {
    const [double, rows, columns] = [fresh(`${value}_double`), fresh(`${value}_rows`), fresh(`${value}_columns`)]
    const [target, moment] = [fresh(`${value}_target`), fresh(`${value}_moment`)]
    constants.set(target, int64s([-1, size]))
    nodes.push(
      makeNode(Cast, [value], [double], { to: 1 + dtypes.indexOf('float64') }),
      makeNode(Reshape, [double, target], [rows]),
      makeNode(Transpose, [rows], [columns], { perm: [1, 0] }),
      makeNode(MatMul, [columns, rows], [moment]),
    )
    moments.set(value, moment)
  }
  const outputs = [...moments.values()].map((name) => ({ name, type: tensorType('float64', undefined) }))
  return { graph: withParts(graph, { nodes: [...graph.nodes, ...nodes], constants, outputs }), moments }
}
