/** Operators that summarise a sliding window, or all positions, of each channel. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../dtype.ts'
import { forEachIndex, generate, numbersOf, stridesOf } from '../evaluate.ts'
import { tensorInput } from '../infer.ts'
import { countOf, inputShape, outputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext, type NodeContext, type OpDef } from '../op.ts'
import type { Schema } from '../attributes.ts'
import { type Dense, isNumeric, tensorOf } from '../tensor.ts'
import { isStatic, type Shape, sizeOf, tensorType, type TensorType } from '../type.ts'
import type { Precision } from '../numerics.ts'
import { finite, outputPrecision } from './elementwise.ts'
import { distinctWindows, isUnpadded, padsOf, type Window, windowOutput, windowPlaces } from './window.ts'

export interface PoolAttributes extends Window {
  readonly ceil_mode: number
}

/** `[N,C,...windows]` for `x[N,C,...]`. */
export const poolType = (ctx: InferContext<PoolAttributes>): E.Either<string, TensorType> => {
  const x = tensorInput(ctx, 0)
  if (E.isLeft(x)) return x
  const { dtype, shape } = x.right
  const kernel = ctx.attrs.kernel_shape
  if (kernel === undefined) return E.left('no kernel_shape')
  if (shape === undefined) return E.right(tensorType(dtype, undefined))
  if (shape.length !== kernel.length + 2)
    return E.left(`input has rank ${shape.length}, the kernel ${kernel.length} axes`)
  const sizes = windowOutput(ctx.attrs, shape.slice(2), kernel, ctx.attrs.ceil_mode !== 0)
  return E.isLeft(sizes) ? sizes : E.right(tensorType(dtype, [...shape.slice(0, 2), ...sizes.right]))
}

/** Whether no window reaches beyond the input. */
export const staysInside = (attrs: PoolAttributes): boolean =>
  attrs.ceil_mode === 0 && isUnpadded(attrs, attrs.kernel_shape ?? [])

/** The most windows in the padding that are looked at one by one. */
const earlyLimit = 4096

/** Whether every window holds at least one element of the input. False where that is not known. */
export const coversInput = (ctx: NodeContext<PoolAttributes>): boolean => {
  const { attrs } = ctx
  const kernel = attrs.kernel_shape ?? []
  const spatial = inputShape(ctx, 0)?.slice(2)
  if (spatial === undefined) return false
  return spatial.every((size, axis) => {
    const [extent, dilation] = [kernel[axis] ?? 1, attrs.dilations?.[axis] ?? 1]
    if (!isStatic(size)) {
      // The first tap at or after the begin is at 0; the last window starts before the end, or at most its length before.
      const automatic = attrs.auto_pad === 'SAME_UPPER' || attrs.auto_pad === 'SAME_LOWER'
      const [begin, end] = padsOf(attrs, axis, size, extent) ?? [0, 0]
      return dilation === 1 && (automatic || (begin >= 0 && begin < extent && end >= 0 && end < extent))
    }
    const count = windowOutput({ ...attrs, ...alongAxis(attrs, axis) }, [size], [extent], attrs.ceil_mode !== 0)
    const begin = padsOf(attrs, axis, size, extent)?.[0] ?? 0
    if (E.isLeft(count)) return false
    const stride = attrs.strides?.[axis] ?? 1
    const windows = Number(count.right[0] ?? 0)
    if ((windows - 1) * stride - begin >= size) return false
    // A window that starts before the input needs a tap in it; the first one at or after its begin is the only candidate.
    const early = Math.min(windows, Math.ceil(begin / stride))
    if (early <= 0 || dilation <= size) return early <= 0 || Math.ceil(begin / dilation) < extent
    if (early > earlyLimit) return false
    for (let o = 0; o < early; o++) {
      const tap = Math.ceil((begin - o * stride) / dilation)
      if (tap >= extent || o * stride - begin + tap * dilation >= size) return false
    }
    return true
  })
}

/** The window along one spatial axis. */
const alongAxis = (w: Window, axis: number): Partial<Window> => {
  const rank = (w.pads?.length ?? 0) / 2
  return {
    dilations: [w.dilations?.[axis] ?? 1],
    pads: [w.pads?.[axis] ?? 0, w.pads?.[axis + rank] ?? 0],
    strides: [w.strides?.[axis] ?? 1],
  }
}

/** Elements of all windows. */
export const poolSteps = (ctx: NodeContext<PoolAttributes>): number =>
  countOf(outputShape(ctx)) * sizeOf(ctx.attrs.kernel_shape ?? [])

/**
 * Each window's elements (those of padding left out) and how many positions it has within the padded input, summarised by
 * `summarise`.
 */
export const pool = (
  x: Dense,
  attrs: PoolAttributes,
  summarise: (values: ReadonlyArray<number>, positions: number) => number,
): Dense | undefined => {
  const kernel = attrs.kernel_shape
  const spatial = x.shape.slice(2)
  if (kernel === undefined || !isNumeric(x.dtype)) return undefined
  // Windows that read the same are summarised once.
  const axes = distinctWindows(x, attrs, kernel, attrs.ceil_mode !== 0)
  if (axes === undefined) return undefined
  const pads = spatial.map((size, axis) => padsOf(attrs, axis, size, kernel[axis] ?? 1) ?? [0, 0])
  const [xs, strides] = [numbersOf(x), stridesOf(x.shape)]
  const planes = x.shape.slice(0, 2)
  const summaries = new Float64Array(sizeOf([...planes, ...axes.map(({ first }) => first.length)]))
  forEachIndex([...planes, ...axes.map(({ first }) => first.length)], (place, to) => {
    const values: number[] = []
    let positions = 0
    forEachIndex(kernel, (tap) => {
      let at = (place[0] ?? 0) * (strides[0] ?? 0) + (place[1] ?? 0) * (strides[1] ?? 0)
      let inside = true
      for (let a = 0; a < kernel.length; a++) {
        const p =
          (axes[a]?.first[place[a + 2] ?? 0] ?? 0) * (attrs.strides?.[a] ?? 1) -
          (pads[a]?.[0] ?? 0) +
          (tap[a] ?? 0) * (attrs.dilations?.[a] ?? 1)
        if (p >= (spatial[a] ?? 0) + (pads[a]?.[1] ?? 0)) return
        if (p < 0 || p >= (spatial[a] ?? 0)) inside = false
        at += p * (strides[a + 2] ?? 0)
      }
      positions += 1
      if (inside) values.push(xs[at] ?? 0)
    })
    summaries[to] = summarise(values, positions)
  })
  const places = windowPlaces(axes)
  const [count, distinct] = [places.length, sizeOf(axes.map(({ first }) => first.length))]
  const out = new Float64Array(sizeOf(planes) * count)
  for (let plane = 0; plane < sizeOf(planes); plane++) {
    for (let p = 0; p < count; p++) out[plane * count + p] = summaries[plane * distinct + (places[p] ?? 0)] ?? 0
  }
  return tensorOf(x.dtype, [...planes, ...axes.map(({ group }) => group.length)], out)
}

type GlobalVersions = readonly [first: number, last: number]

/** One element for each channel, from all its positions: `[N,C,...]` to `[N,C,1,...]`. */
export const globalPool = <const Name extends string, A>(
  name: Name,
  versions: GlobalVersions,
  schema: Schema<A>,
  summarise: (values: ReadonlyArray<number>, attrs: A) => number,
  /** What `count` times the number c gives; `count` is undefined where the number of positions is not known. */
  repeated: (c: number, count: number | undefined, attrs: A, precision: Precision) => number | undefined,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    schema,
    inferTypes: (ctx) => {
      const x = tensorInput(ctx, 0)
      if (E.isLeft(x)) return x
      const { dtype, shape } = x.right
      if (shape !== undefined && shape.length < 2) return E.left('the input has no channels')
      return E.right([
        tensorType(
          dtype,
          shape?.map((dim, axis) => (axis < 2 ? dim : 1)),
        ),
      ])
    },
    links: (ctx) => sameAxes(ctx, (axis) => axis < 2),
    constant: (ctx, [c]) => {
      const precision = outputPrecision(ctx)
      return typeof c === 'number' && precision !== undefined
        ? finite(repeated(c, spatialCount(inputShape(ctx, 0)), ctx.attrs, precision))
        : undefined
    },
    evaluate: (ctx, [x]) => {
      if (!x || !isFloat(x.dtype)) return undefined
      const positions = sizeOf(x.shape.slice(2))
      const xs = numbersOf(x)
      return [
        generate(x.dtype, [...x.shape.slice(0, 2), ...x.shape.slice(2).map(() => 1)], (_, flat) =>
          summarise(Array.from(xs.subarray(flat * positions, (flat + 1) * positions)), ctx.attrs),
        ),
      ]
    },
  })

const spatialCount = (shape: Shape | undefined): number | undefined => {
  let count = 1
  for (const dim of shape?.slice(2) ?? ['']) {
    if (!isStatic(dim)) return undefined
    count *= dim
  }
  return count
}
