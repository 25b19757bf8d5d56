/** Values of the model that is read, while it is translated. */
import type { ValueId } from '../../ir/op.ts'
import type { Dense } from '../../ir/tensor.ts'

/**
 * Where the channels of a value are: behind all other axes, as in the model that is read (`[N, ...space, C]`), or behind the
 * batch, as ONNX's convolutions have them (`[N, C, ...space]`). Values of fewer than three axes are `'last'`.
 */
export type Layout = 'last' | 'first'

/** A constant, in the layout of the model that is read. It is in the graph only once something reads it. */
export interface Known {
  readonly kind: 'known'
  readonly name: string
  readonly tensor: Dense
}

/** A value of the graph. */
export interface Computed {
  readonly kind: 'computed'
  readonly value: ValueId
  readonly layout: Layout
}

/** A value of the model that is read. */
export type Operand = Known | Computed

/** The axes of `[N, C, ...space]` by where they are in `[N, ...space, C]`. */
export const toFirst = (rank: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, (_, axis) => (axis === 0 ? 0 : axis === 1 ? rank - 1 : axis - 1))

/** The reverse of {@link toFirst}. */
export const toLast = (rank: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, (_, axis) => (axis === 0 ? 0 : axis === rank - 1 ? 1 : axis + 1))

/** Where axis `axis` of a value in the layout of the model lies in `layout`. */
export const axisIn = (layout: Layout, axis: number, rank: number): number =>
  layout === 'last' ? axis : toFirst(rank).indexOf(axis)
