/** Channels that hold constants and were left out, put back where something reads them. */
import { makeNode } from '../make-node.ts'
import type { Node, Rewrite, ShrinkContext, ValueId } from '../op.ts'
import { Add } from '../ops/add.ts'
import { Pad } from '../ops/pad.ts'
import { int64s, type Tensor, tensorOf } from '../tensor.ts'
import type { ValueType } from '../type.ts'
import { dtypeOf } from './movement.ts'

/** The first opset with Pad and Slice as they are now. */
export const firstPad = 11

/** Whether every runtime can pad a value of a type with constants. */
export const isPadded = (type: ValueType | undefined): boolean =>
  type?.kind === 'tensor' && (type.dtype === 'float32' || type.dtype === 'float64')

/**
 * Constants put back behind the channels that stay along `axis` of `x`, of rank `rank`: the nodes that make `y` of it. Each of
 * `rows` has those that stay and then its constants. Where all of them are one number that is a Pad, else an Add besides.
 */
export const putBack = (
  s: Pick<ShrinkContext<unknown>, 'inputs' | 'fresh'>,
  [x, y]: readonly [ValueId, ValueId],
  [rank, axis]: readonly [rank: number, axis: number],
  kept: number,
  rows: ReadonlyArray<Float64Array>,
): Rewrite => {
  const dtype = dtypeOf(s.inputs[0]) ?? 'float32'
  const fill = rows[0]?.[0] ?? 0
  const isSame = rows.every((row) => row.every((c) => c === fill))
  const [count, pads, value] = [rows[0]?.length ?? 0, s.fresh(`${y}_pads`), s.fresh(`${y}_fill`)]
  const ends = Array.from({ length: 2 * rank }, (_, i) => (i === rank + axis ? count : 0))
  const constants = new Map<ValueId, Tensor>([
    [pads, int64s(ends)],
    [value, tensorOf(dtype, [], [isSame ? fill : 0])],
  ])
  const padded = isSame ? y : s.fresh(`${y}_zeros`)
  const nodes: Node[] = [makeNode(Pad, [x, pads, value], [padded])]
  if (!isSame) {
    const added = s.fresh(`${y}_constants`)
    const shape = [rows.length, kept + count, ...Array.from({ length: rank - axis - 1 }, () => 1)]
    const values = rows.flatMap((row) => [...new Float64Array(kept), ...row])
    constants.set(added, tensorOf(dtype, rows.length === 1 ? shape.slice(1) : shape, values))
    nodes.push(makeNode(Add, [padded, added], [y]))
  }
  return { nodes, constants }
}
