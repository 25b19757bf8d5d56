/** Nodes that hand values on: what passes make, by what it does. */
import { makeNode } from './make-node.ts'
import type { Node, ValueId } from './op.ts'
import { Concat } from './ops/concat.ts'
import { Expand } from './ops/expand.ts'
import { Gather } from './ops/gather.ts'
import { Identity } from './ops/identity.ts'
import { Shape } from './ops/shape.ts'
import { isOp } from './registry.ts'

/** `output` is `value`. */
export const handOn = (value: ValueId, output: ValueId, name = ''): Node =>
  makeNode(Identity, [value], [output], {}, name)

/** Whether a node does nothing but {@link handOn}. */
export const isHandOn = (node: Node): boolean => isOp(node, Identity)

/** `value` widened to `sizes`, of which 1 stands for the size it has. Since opset 8. */
export const expandTo = (value: ValueId, sizes: ValueId, output: ValueId): Node =>
  makeNode(Expand, [value, sizes], [output])

/** The sizes of `value`, int64; of one axis since opset 15. */
export const sizesOf = (value: ValueId, output: ValueId, axis?: number): Node =>
  makeNode(Shape, [value], [output], axis === undefined ? {} : { start: axis, end: axis + 1 })

/** The slices of `value` at the indices in `index`, along `axis`. */
export const pick = (value: ValueId, index: ValueId, output: ValueId, axis: number): Node =>
  makeNode(Gather, [value, index], [output], { axis })

/** `values` one after another along `axis`. */
export const join = (values: ReadonlyArray<ValueId>, output: ValueId, axis: number): Node =>
  makeNode(Concat, values, [output], { axis })
