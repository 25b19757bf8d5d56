/** Operators that move elements: shapes, orders of axes, parts and wholes. */
import { Concat } from '../../../ir/ops/concat.ts'
import { Gather } from '../../../ir/ops/gather.ts'
import { Pad } from '../../../ir/ops/pad.ts'
import { Reshape } from '../../../ir/ops/reshape.ts'
import { Shape as ShapeOp } from '../../../ir/ops/shape.ts'
import { Slice } from '../../../ir/ops/slice.ts'
import { Split } from '../../../ir/ops/split.ts'
import { Squeeze } from '../../../ir/ops/squeeze.ts'
import { Tile } from '../../../ir/ops/tile.ts'
import { Unsqueeze } from '../../../ir/ops/unsqueeze.ts'
import { isStatic, sameShape, type Shape } from '../../../ir/type.ts'
import type { Builder } from '../builder.ts'
import { axisIn, type Layout, type Operand, toFirst, toLast } from '../operand.ts'
import { alike } from './elementwise.ts'

/** Entries for the axes of the model, in the order of `layout`. */
const inLayout = <T>(layout: Layout, entries: ReadonlyArray<T>): ReadonlyArray<T> =>
  layout === 'last' ? entries : toFirst(entries.length).flatMap((axis) => entries.slice(axis, axis + 1))

/** The shape as 32-bit integers; nothing is moved for it. */
export const shapeOf = (b: Builder, x: Operand): Operand => {
  const shape = b.node(ShapeOp, [b.native(x)])
  const rank = b.rankOf(x) ?? 0
  const ordered = b.layoutOf(x) === 'last' ? shape : b.node(Gather, [shape, b.int64(toLast(rank))])
  return b.cast(b.computed(ordered), 'int32')
}

/** The target of a Reshape where the sizes are known, up to one. */
const targetOf = (b: Builder, x: Operand, target: Operand): ReadonlyArray<number> | undefined => {
  const from = b.shapeOf(x)
  const entries = b.contentsOf(target)
  if (entries === undefined || from === undefined || entries.includes(0)) return undefined
  const out = entries.map((size, axis) => (isStatic(size) ? size : size === from[axis] ? 0 : -1))
  return out.filter((size) => size === -1).length > 1 ? undefined : out
}

export const reshape = (b: Builder, x: Operand, target: Operand): Operand => {
  const known = targetOf(b, x, target)
  if (known !== undefined) return reshapeTo(b, x, known)
  return b.computed(b.node(Reshape, [b.last(x), b.asInt64(target)]))
}

/** Under the shape `target`; 0 stands for the size that the axis has, one -1 for what is left. */
export const reshapeTo = (b: Builder, x: Operand, target: ReadonlyArray<number>): Operand => {
  const shape = b.shapeOf(x)
  const same = target.map((size, axis) => (size === 0 ? (shape?.[axis] ?? -1) : size))
  if (sameShape(shape, same)) return x
  return b.computed(b.node(Reshape, [b.last(x), b.int64(target)]))
}

export const transpose = (b: Builder, x: Operand, perm: ReadonlyArray<number>): Operand =>
  b.computed(b.transposed(b.last(x), perm))

export const squeeze = (b: Builder, x: Operand, axes: ReadonlyArray<number>): Operand =>
  axes.length === 0 ? x : b.computed(b.node(Squeeze, [b.last(x), b.int64(axes)]))

export const unsqueeze = (b: Builder, x: Operand, axes: ReadonlyArray<number>): Operand =>
  axes.length === 0 ? x : b.computed(b.node(Unsqueeze, [b.last(x), b.int64(axes)]))

/** One behind the other along `axis`, channels first where one of them has them there. */
export const concat = (b: Builder, given: ReadonlyArray<Operand>, axis: number): Operand => {
  const operands = alike(b, given)
  const [only] = operands
  if (only !== undefined && operands.length === 1) return only
  const rank = Math.max(...operands.map((x) => b.rankOf(x) ?? 0))
  const layout: Layout = operands.some((x) => b.layoutOf(x) === 'first') ? 'first' : 'last'
  const values = operands.map((x) => (layout === 'first' ? b.first(x) : b.last(x)))
  return b.computed(b.node(Concat, values, { axis: axisIn(layout, axis < 0 ? axis + rank : axis, rank) }), layout)
}

/** Parts of the given sizes along `axis`. */
export const split = (b: Builder, x: Operand, sizes: ReadonlyArray<number>, axis: number): ReadonlyArray<Operand> => {
  const layout = b.layoutOf(x)
  const at = axisIn(layout, axis, b.rankOf(x) ?? 0)
  const parts = b.nodes(Split, [b.native(x), b.int64(sizes)], sizes.length, { axis: at })
  return parts.map((part) => b.computed(part, layout))
}

export interface Range {
  readonly axis: number
  readonly start: number
  readonly end: number
  readonly step: number
}

/** Whatever end an axis has. */
export const toEnd = Number.MAX_SAFE_INTEGER
export const toStart = Number.MIN_SAFE_INTEGER

export const slice = (b: Builder, x: Operand, ranges: ReadonlyArray<Range>): Operand => {
  const changing = ranges.filter(({ start, end, step }) => start !== 0 || end !== toEnd || step !== 1)
  if (changing.length === 0) return x
  const layout = b.layoutOf(x)
  const rank = b.rankOf(x) ?? 0
  const axes = changing.map(({ axis }) => axisIn(layout, axis, rank))
  const starts = b.int64(changing.map(({ start }) => start))
  const ends = b.int64(changing.map(({ end }) => end))
  const steps = b.int64(changing.map(({ step }) => step))
  return b.computed(b.node(Slice, [b.native(x), starts, ends, b.int64(axes), steps]), layout)
}

/** Places added around each axis of the model, `[before, behind]`. */
export const pad = (
  b: Builder,
  x: Operand,
  amounts: ReadonlyArray<readonly [before: number, behind: number]>,
  mode: 'constant' | 'reflect' | 'edge',
  value?: Operand,
): Operand => {
  const ordered = inLayout(b.layoutOf(x), amounts)
  const pads = b.int64([...ordered.map(([before]) => before), ...ordered.map(([, behind]) => behind)])
  const inputs = [b.native(x), pads, ...(value === undefined ? [] : [b.last(value)])]
  return b.computed(b.node(Pad, inputs, { mode }), b.layoutOf(x))
}

export const tile = (b: Builder, x: Operand, repeats: ReadonlyArray<number>): Operand =>
  b.computed(b.node(Tile, [b.native(x), b.int64(inLayout(b.layoutOf(x), repeats))]), b.layoutOf(x))

/** Elements at `indices` along `axis`, in place of that axis. */
export const gather = (b: Builder, x: Operand, indices: Operand, axis: number): Operand =>
  b.computed(b.node(Gather, [b.last(x), b.last(indices)], { axis }))

/** All elements of a sample in one axis. */
export const flatten = (b: Builder, x: Operand): Operand => reshapeTo(b, x, [0, -1])

/** The sizes behind the batch, where all are known. */
export const sampleOf = (shape: Shape | undefined): ReadonlyArray<number> | undefined => {
  const sizes = shape?.slice(1)
  return sizes?.every(isStatic) ? sizes.map(Number) : undefined
}
