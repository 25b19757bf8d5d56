/** Nodes that select channels, and that put them back. */
import { freshNames } from '../../ir/analysis.ts'
import { putBack } from '../../ir/families/put-back.ts'
import type { Graph } from '../../ir/graph.ts'
import { shapeOf } from '../../ir/links.ts'
import { makeNode } from '../../ir/make-node.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { Gather } from '../../ir/ops/gather.ts'
import { int64s, type Tensor } from '../../ir/tensor.ts'
import type { ValueType } from '../../ir/type.ts'

/** New names that are in none of some graphs. */
export const freshIn = (graph: Graph, bodies: ReadonlyArray<Graph>): ((hint: string) => ValueId) => {
  const outside = freshNames(graph)
  return (hint) => {
    for (;;) {
      const name = outside(hint)
      if (!bodies.some((body) => body.types.has(name))) return name
    }
  }
}

/** Nodes under construction, with the constants that they read. */
export interface Built {
  readonly nodes: Node[]
  readonly constants: Map<ValueId, Tensor>
  readonly fresh: (hint: string) => ValueId
}

export const building = (fresh: Built['fresh'], constants: ReadonlyMap<ValueId, Tensor> = new Map()): Built => ({
  nodes: [],
  constants: new Map(constants),
  fresh,
})

/** The indices `kept` of an axis of `x`; the name of that, `y` where it is told. */
export const select = (
  b: Built,
  x: ValueId,
  axis: number,
  kept: ReadonlyArray<number>,
  y = b.fresh(`${x}_kept`),
): ValueId => {
  const indices = b.fresh(`${y}_indices`)
  b.constants.set(indices, int64s(kept))
  b.nodes.push(makeNode(Gather, [x, indices], [y], { axis }))
  return y
}

/** Along an axis of `x`, which has the channels `from`, the channels `to`: those that are not there are numbers. */
export const restore = (
  b: Built,
  [x, y]: readonly [ValueId, ValueId],
  type: ValueType | undefined,
  axis: number,
  { from, to, numberOf }: Restored,
): void => {
  const places = new Map(from.map((i, place) => [i, place]))
  const back = [...new Set(to.filter((i) => !places.has(i)).map(numberOf))]
  const padded = b.fresh(`${y}_padded`)
  const rank = shapeOf(type)?.length ?? 0
  const padding = putBack({ inputs: [type], fresh: b.fresh }, [x, padded], [rank, axis], from.length, [
    Float64Array.from(back),
  ])
  b.nodes.push(...padding.nodes)
  for (const [name, tensor] of padding.constants) b.constants.set(name, tensor)
  const order = to.map((i) => places.get(i) ?? from.length + back.indexOf(numberOf(i)))
  select(b, padded, axis, order, y)
}

export interface Restored {
  readonly from: ReadonlyArray<number>
  readonly to: ReadonlyArray<number>
  readonly numberOf: (index: number) => number
}
