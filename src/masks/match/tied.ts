/** Parameters that a file stores more than once. */
import { memoized } from '../../ir/analysis.ts'
import { elementReader, materialize } from '../../ir/tensor.ts'
import { sizeOf } from '../../ir/type.ts'
import { permuted } from './layout.ts'
import type { MaskTensor } from './mask-tensors.ts'
import type { Layout } from './region.ts'
import { isTable, type Slot, slotsOf } from './slots.ts'

/**
 * The slots of other constants that hold the same parameter as a slot: a table that one node looks up in and another
 * multiplies by or turns first (the embedding and the head of a language model). Layers of one kind with equal weights are
 * not tied: an untrained network whose layers were copied has them too.
 */
export const tiesOf = memoized((graph): ReadonlyMap<Slot, ReadonlyArray<Slot>> => {
  const slots = slotsOf(graph).filter(({ tensor }) => tensor.shape.length === 2 && sizeOf(tensor.shape) > 1)
  const out = new Map<Slot, Slot[]>()
  const enter = (a: Slot, b: Slot): void => {
    const known = out.get(a)
    if (known) known.push(b)
    else out.set(a, [b])
  }
  const tables = slots.filter(isTable)
  for (const table of tables) {
    for (const other of slots) {
      if (table.root === other.root || !areTied(table, other) || out.get(table)?.includes(other)) continue
      if (!sameNumbers(table, other)) continue
      enter(table, other)
      enter(other, table)
    }
  }
  return out
})

/** Whether slots with equal numbers are one parameter: one of them is looked up in, the other not, or by another operator. */
export const areTied = (a: Slot, b: Slot): boolean => a.tensor.shape.length === 2 && isTable(a) !== isTable(b)

const sameNumbers = (table: Slot, layer: Slot): boolean => {
  const [rows = 0, columns = 0] = table.tensor.shape
  const turned = isTurned(layer)
  const [a = 0, b = 0] = layer.tensor.shape
  if (turned ? a !== columns || b !== rows : a !== rows || b !== columns) return false
  if (table.tensor.dtype !== layer.tensor.dtype) return false
  const [x, y] = [elementReader(table.tensor), elementReader(layer.tensor)]
  const first = x(0)
  let varies = false
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) {
      const value = x(i * columns + j)
      if (value !== y(turned ? j * rows + i : i * columns + j)) return false
      if (value !== first) varies = true
    }
  }
  return varies
}

/** How a mask lies on a slot that is tied to one on which its layout is known; undefined for layouts other than of matrices. */
export const tiedLayout = (mask: MaskTensor, layout: Layout, slot: Slot, other: Slot): Layout | undefined => {
  const turned = isTurned(slot) !== isTurned(other)
  const { kind } = layout
  if (mask.shape.length !== 2 || (kind !== 'same' && kind !== 'transposed')) return undefined
  return (kind === 'transposed') !== turned
    ? permuted(mask.shape, other.tensor.shape, [1, 0], 'transposed')
    : permuted(mask.shape, other.tensor.shape, [0, 1], 'same')
}

const isTurned = ({ layer }: Slot): boolean => layer?.contraction.weightOutputAxis === 1

/** Whether two slots hold the same numbers in the same order: one constant, or copies of it for each call of a module. */
export const isSameNumbers = (a: Slot, b: Slot): boolean => {
  if (a.root === b.root) return true
  const [x, y] = [a.tensor, b.tensor]
  if (x.dtype !== y.dtype || x.shape.length !== y.shape.length || x.shape.some((d, i) => d !== y.shape[i])) return false
  const [p, q] = [materialize(x).bytes, materialize(y).bytes]
  return p.length === q.length && p.every((byte, i) => byte === q[i])
}

/** Whether slots hold one parameter: the same numbers, or a table and what is tied to it. */
export const isOneParameter = (a: Slot, b: Slot, ties: ReturnType<typeof tiesOf>): boolean =>
  isSameNumbers(a, b) || (ties.get(a) ?? []).includes(b)
