/** Operators that summarise axes, and those that work along one. */
import type { OpDef } from '../../../ir/op.ts'
import { ArgMax } from '../../../ir/ops/arg-max.ts'
import type { ArgMin } from '../../../ir/ops/arg-min.ts'
import { ReduceSum } from '../../../ir/ops/reduce-sum.ts'
import type { Builder } from '../builder.ts'
import { axisIn, type Layout, type Operand, toFirst } from '../operand.ts'

/** The layout to reduce `axes` in so that what stays has a layout, and the one it then has. */
const layoutsOf = (
  b: Builder,
  x: Operand,
  rank: number,
  axes: ReadonlySet<number>,
  keep: boolean,
): readonly [Layout, Layout] => {
  if (b.layoutOf(x) === 'last') return ['last', 'last']
  if (keep) return ['first', 'first']
  const left = toFirst(rank).filter((axis) => !axes.has(axis))
  const isSorted = left.every((axis, i) => i === 0 || axis > (left[i - 1] ?? 0))
  if (isSorted) return ['first', 'last']
  // The batch and the channels stay in front of some of the other axes.
  return left[0] === 0 && left[1] === rank - 1 ? ['first', 'first'] : ['last', 'last']
}

/** Axes counted from the front; all where none are given. Undefined where one is out of range. */
export const axesOf = (axes: ReadonlyArray<number> | undefined, rank: number): ReadonlySet<number> | undefined => {
  const at = (axes ?? Array.from({ length: rank }, (_, axis) => axis)).map((axis) => (axis < 0 ? axis + rank : axis))
  return at.every((axis) => axis >= 0 && axis < rank) ? new Set(at) : undefined
}

interface AxesAttributes {
  readonly axes: ReadonlyArray<number> | undefined
  readonly keepdims: number
}

/** `op` over some axes, which stay with size 1 where they are kept. */
export const reduce = <Name extends string>(
  b: Builder,
  op: OpDef<Name, AxesAttributes & { readonly noop_with_empty_axes: number }>,
  x: Operand,
  axes: ReadonlySet<number>,
  keep: boolean,
): Operand => {
  if (axes.size === 0) return x
  const rank = b.rankOf(x) ?? 0
  const [layout, after] = layoutsOf(b, x, rank, axes, keep)
  const at = [...axes].map((axis) => axisIn(layout, axis, rank)).toSorted((p, q) => p - q)
  const value = layout === 'first' ? b.first(x) : b.last(x)
  const keepdims = keep ? 1 : 0
  // From opset 13 on the axes of a sum are an input, those of others from 18 on.
  const reduced =
    op.name === ReduceSum.name
      ? b.node(op, [value, b.int64(at)], { keepdims })
      : b.node(op, [value], { axes: at, keepdims })
  return b.computed(reduced, after)
}

/** Where the largest or smallest along an axis is, as 64-bit integers. */
export const argument = (b: Builder, op: typeof ArgMax | typeof ArgMin, x: Operand, axis: number): Operand => {
  const rank = b.rankOf(x) ?? 0
  const [layout, after] = layoutsOf(b, x, rank, new Set([axis]), false)
  const value = layout === 'first' ? b.first(x) : b.last(x)
  const attrs = { axis: axisIn(layout, axis, rank), keepdims: 0 }
  return b.computed(op.name === 'ArgMax' ? b.node(ArgMax, [value], attrs) : b.node(op, [value], attrs), after)
}
