import * as E from 'fp-ts/lib/Either.js'
import { optionalBigInts } from '../attributes.ts'
import { stridesOf } from '../evaluate.ts'
import { clampedIntegers, integersOn, movedType, strided, targetShape, withOperand } from '../families/movement.ts'
import { gatherOperands } from '../gather-operands.ts'
import { derivedDim, isGiven } from '../infer.ts'
import { inputShape, outputShape, sameIndex, shifted, stepped } from '../links.ts'
import { makeNode } from '../make-node.ts'
import {
  type AxisLink,
  defineOp,
  type InferContext,
  type NodeContext,
  type Rewrite,
  type ShrinkContext,
} from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { int64s, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, normalizeAxis, type Shape, unknownDim } from '../type.ts'
import { Gather } from './gather.ts'

/** Inputs since opset 10. */
export interface SliceAttributes {
  readonly axes: ReadonlyArray<bigint> | undefined
  readonly ends: ReadonlyArray<bigint> | undefined
  readonly starts: ReadonlyArray<bigint> | undefined
}

/** The range taken along one axis, as written. Bounds may be sizes that only the model's inputs tell. */
interface Range {
  readonly axis: number
  readonly start: Dim
  readonly end: Dim
  readonly step: number
}

const boundsOn = (
  ctx: InferContext<SliceAttributes>,
  port: number,
  attribute: ReadonlyArray<bigint> | undefined,
): Shape | undefined => (attribute ? clampedIntegers(attribute) : (integersOn(ctx, port) ?? ctx.content(port)))

/** The ranges of all sliced axes; undefined where it is not known which axes are sliced, or how. */
const rangesOf = (ctx: InferContext<SliceAttributes>, rank: number): ReadonlyArray<Range> | undefined => {
  const starts = boundsOn(ctx, 1, ctx.attrs.starts)
  const ends = boundsOn(ctx, 2, ctx.attrs.ends)
  const axes = ctx.attrs.axes
    ? clampedIntegers(ctx.attrs.axes)
    : isGiven(ctx, 3)
      ? integersOn(ctx, 3)
      : starts?.map((_, i) => i)
  const steps = isGiven(ctx, 4) ? integersOn(ctx, 4) : starts?.map(() => 1)
  if (starts === undefined || ends === undefined || axes === undefined || steps === undefined) return undefined
  const ranges: Range[] = []
  for (const [i, written] of axes.entries()) {
    const [axis, start, end, step] = [normalizeAxis(written, rank), starts[i], ends[i], steps[i]]
    if (axis === undefined || start === undefined || end === undefined || step === undefined || step === 0)
      return undefined
    ranges.push({ axis, start, end, step })
  }
  return new Set(ranges.map((r) => r.axis)).size === ranges.length ? ranges : undefined
}

const clamp = (x: number, low: number, high: number): number => Math.max(low, Math.min(high, x))

/** First index taken along an axis of `size`, and how many. */
const span = (start: number, end: number, step: number, size: number): readonly [first: number, count: number] => {
  if (size === 0) return [0, 0]
  const counted = (x: number): number => (x < 0 ? x + size : x)
  const last = step > 0 ? size : size - 1
  const first = clamp(counted(start), 0, last)
  const stop = clamp(counted(end), step > 0 ? 0 : -1, size)
  return [first, Math.max(0, Math.ceil((stop - first) / step))]
}

/** First index and count where the range and the size are known. */
const staticSpan = (range: Range, size: Dim | undefined): readonly [number, number] | undefined =>
  isStatic(size) && isStatic(range.start) && isStatic(range.end)
    ? span(range.start, range.end, range.step, size)
    : undefined

const sizeAfter = ({ start, end, step }: Range, size: Dim, unknown: Dim): Dim => {
  const reachesEnd = end === size || (isStatic(end) && end >= 2 ** 31 - 1)
  if (start === 0 && step === 1 && reachesEnd) return size
  if (!isKnownElement(start) || !isKnownElement(end)) return unknown
  return derivedDim('slice', [start, end, step, size], (a, b, c, n) => span(a ?? 0, b ?? 0, c ?? 1, n ?? 0)[1])
}

/** What is taken along an axis of known size: `count` indices from `first` on, `step` apart. */
interface Taken {
  readonly axis: number
  readonly first: number
  readonly count: number
  readonly step: number
}

const takenIn = (ctx: InferContext<SliceAttributes>, from: Shape): ReadonlyArray<Taken> =>
  (rangesOf(ctx, from.length) ?? []).flatMap(({ axis, step, ...range }) => {
    const found = staticSpan({ axis, step, ...range }, from[axis])
    return found ? [{ axis, first: found[0], count: found[1], step }] : []
  })

/** Where a range starts and ends, and its step. */
type Bounds = readonly [start: number, end: number, step: number]

/** The range that takes these places of an axis of `size`; undefined where they are not equally far apart. */
const boundsOf = (places: ReadonlyArray<number>, size: number, step: number): Bounds | undefined => {
  const [first, second = (first ?? 0) + step, ...others] = places
  if (first === undefined) return [0, 0, step]
  const by = second - first
  if (others.some((place, i) => place !== first + (i + 2) * by)) return undefined
  const end = first + places.length * by
  // A negative end counts from the back, so the place in front of the first one is one before all.
  return [first, end < 0 ? -size - 1 : Math.min(end, size), by]
}

/** Whether all bounds are attributes or constants, so that they can be rewritten. */
const isRewritable = (ctx: NodeContext<SliceAttributes>): boolean =>
  [1, 2, 3, 4].every((port) => !isGiven(ctx, port) || ctx.constant(port) !== undefined)

/** The same node with other starts and ends along the axes in `moved`. */
const withBounds = (s: ShrinkContext<SliceAttributes>, rank: number, moved: ReadonlyMap<number, Bounds>): Rewrite => {
  const ranges = rangesOf(s, rank) ?? []
  const starts = ranges.map(({ axis, start }) => moved.get(axis)?.[0] ?? Number(start))
  const ends = ranges.map(({ axis, end }) => moved.get(axis)?.[1] ?? Number(end))
  const rewrite = gatherOperands(s)
  if (s.attrs.starts !== undefined) {
    const attrs = { ...s.attrs, starts: starts.map(BigInt), ends: ends.map(BigInt) }
    return { nodes: rewrite.nodes.map((node) => ({ ...node, attrs })), constants: rewrite.constants }
  }
  const dtype = s.constant(1)?.dtype ?? 'int64'
  const started = withOperand(s, rewrite, 1, tensorOf(dtype, [starts.length], starts))
  const ended = withOperand(s, started, 2, tensorOf(dtype, [ends.length], ends))
  const steps = ranges.map(({ axis, step }) => moved.get(axis)?.[2] ?? step)
  if (ranges.every(({ step }, i) => step === steps[i])) return ended
  return withOperand(s, ended, 4, tensorOf(s.constant(4)?.dtype ?? 'int64', [steps.length], steps))
}

/** The rewrite of one node with places picked by Gather behind it, along each of some axes. */
const picking = (
  s: ShrinkContext<SliceAttributes>,
  rewrite: Rewrite,
  picked: ReadonlyMap<number, ReadonlyArray<number>>,
): Rewrite => {
  const constants = new Map(rewrite.constants)
  const [y = ''] = s.node.outputs
  const names = [...picked.keys()].map(() => s.fresh(`${y}_sliced`))
  const values = [...names, y]
  const nodes = rewrite.nodes.map((node) => ({ ...node, outputs: values.slice(0, 1) }))
  const gathers = [...picked].map(([axis, places], i) => {
    const index = s.fresh(`${y}_index`)
    constants.set(index, int64s(places))
    return makeNode(Gather, [values[i] ?? '', index], [values[i + 1] ?? ''], { axis })
  })
  return { nodes: [...nodes, ...gathers], constants }
}

/** Takes `start, start + step, ..` up to but not including `end` along each of `axes`; bounds are clamped to the axis. */
export const Slice = defineOp<'Slice', SliceAttributes>({
  name: 'Slice',
  versions: [1, Infinity],
  schema: { axes: optionalBigInts, ends: optionalBigInts, starts: optionalBigInts },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const name = ctx.outputNames[0] ?? ''
      const ranges = rangesOf(ctx, from.length)
      if (ranges === undefined) return E.right(from.map((_, axis) => unknownDim(name, axis)))
      return E.right(
        from.map((dim, axis) => {
          const range = ranges.find((r) => r.axis === axis)
          return range === undefined ? dim : sizeAfter(range, dim, unknownDim(name, axis))
        }),
      )
    }),
  contents: (ctx) => {
    const content = ctx.content(0)
    const [range, ...others] = rangesOf(ctx, 1) ?? []
    const found = content && range && others.length === 0 ? staticSpan(range, content.length) : undefined
    if (content === undefined || range === undefined || found === undefined) return undefined
    return Array.from({ length: found[1] }, (_, i) => content[found[0] + i * range.step] ?? 0)
  },
  links: (ctx) => {
    const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
    const ranges = from && rangesOf(ctx, from.length)
    if (from === undefined || to === undefined || ranges === undefined) return 'opaque'
    const links: AxisLink[] = []
    from.forEach((dim, axis) => {
      if (isStatic(dim) && !ranges.some((r) => r.axis === axis)) links.push(sameIndex(0, axis, 0, axis))
    })
    if (!isRewritable(ctx)) return links
    for (const { axis, first, count, step } of takenIn(ctx, from)) {
      const size = Number(from[axis])
      const map = step === 1 ? shifted(count, size, first) : stepped(count, size, first, step)
      links.push({ ...sameIndex(0, axis, 0, axis), from: map })
    }
    return links
  },
  constant: (_ctx, [x]) => x ?? undefined,
  shrink: (s) => {
    const from = inputShape(s, 0) ?? []
    const moved = new Map<number, Bounds>()
    const picked = new Map<number, ReadonlyArray<number>>()
    for (const { axis, first, count, step } of takenIn(s, from)) {
      const kept = s.keptInput(0, axis)
      if (kept === undefined) continue
      const placeOf = new Map(Array.from(kept, (i, at) => [i, at]))
      const places = Array.from({ length: count }, (_, o) => placeOf.get(first + o * step) ?? -1).filter(
        (at) => at >= 0,
      )
      const bounds = boundsOf(places, kept.length, step)
      moved.set(axis, bounds ?? [0, kept.length, 1])
      if (bounds === undefined) picked.set(axis, places)
    }
    return moved.size === 0 ? gatherOperands(s) : picking(s, withBounds(s, from.length, moved), picked)
  },
  identity: (ctx) => {
    const from = inputShape(ctx, 0)
    const whole =
      from &&
      rangesOf(ctx, from.length)?.every((r) => {
        const dim = from[r.axis]
        return r.step === 1 && dim !== undefined && sizeAfter(r, dim, '') === dim
      })
    return whole ? 0 : undefined
  },
  total: true,
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    const ranges = x && rangesOf(ctx, x.shape.length)
    if (!x || !shape || !ranges) return undefined
    const strides = [...stridesOf(x.shape)]
    let base = 0
    for (const range of ranges) {
      const found = staticSpan(range, x.shape[range.axis])
      if (found === undefined) return undefined
      const stride = strides[range.axis] ?? 0
      base += found[0] * stride
      strides[range.axis] = stride * range.step
    }
    const y = strided(x, shape, strides, base)
    return y && [y]
  },
})
