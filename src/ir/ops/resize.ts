import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalInts, string } from '../attributes.ts'
import { isReal } from '../families/elementwise.ts'
import { notDefined } from '../families/half-precision.ts'
import { keptSize, movedType, withAmounts, withOperand } from '../families/movement.ts'
import {
  type CoordinateMode,
  type NearestMode,
  resample,
  type ResampledAxis,
  scaledSize,
} from '../families/resampling.ts'
import { gatherOperands } from '../gather-operands.ts'
import { isGiven } from '../infer.ts'
import { inputShape, outputShape, sameIndex, shapeOf } from '../links.ts'
import { defineOp, type InferContext, type NodeContext } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { numbersIn, int64s, integersOf, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, normalizeAxis, type Shape, unknownDim } from '../type.ts'

export interface ResizeAttributes {
  readonly antialias: number
  readonly axes: ReadonlyArray<number> | undefined
  readonly coordinate_transformation_mode: CoordinateMode
  readonly cubic_coeff_a: number
  readonly exclude_outside: number
  readonly extrapolation_value: number
  readonly keep_aspect_ratio_policy: 'stretch' | 'not_larger' | 'not_smaller'
  readonly mode: 'nearest' | 'linear' | 'cubic'
  readonly nearest_mode: Exclude<NearestMode, 'simple'>
}

/** One axis of the output; `scale` is undefined where it is not known. */
interface Resized {
  readonly size: Dim
  readonly scale: number | undefined
}

const scalesPort = (ctx: InferContext<unknown>): number => (ctx.opset < 11 ? 1 : 2)

/** Whether a port holds elements; before opset 13 an empty tensor stands for an omitted one. */
const holds = (ctx: InferContext<unknown>, port: number): boolean =>
  isGiven(ctx, port) && shapeOf(ctx.inputs[port])?.[0] !== 0

/** The resized axes in the order of `sizes` and `scales`. */
const resizedAxes = (ctx: InferContext<ResizeAttributes>, rank: number): ReadonlyArray<number> =>
  ctx.attrs.axes?.map((axis) => normalizeAxis(axis, rank) ?? rank) ?? Array.from({ length: rank }, (_, a) => a)

const scalesOf = (ctx: InferContext<unknown>): ReadonlyArray<number> | undefined => {
  const port = scalesPort(ctx)
  const tensor = holds(ctx, port) ? ctx.constant(port) : undefined
  return tensor && numbersIn(tensor)
}

const float32Ratio = (to: number, from: number): number => Math.fround(to / from)

/** Sizes under a policy that keeps the aspect ratio: one scale for all, results rounded half up. */
const keptAspect = (
  policy: 'not_larger' | 'not_smaller',
  from: ReadonlyArray<number>,
  sizes: ReadonlyArray<number>,
): ReadonlyArray<Resized> => {
  const ratios = sizes.map((size, i) => float32Ratio(size, from[i] ?? 1))
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  return from.map((size) => ({ size: Math.floor(Math.fround(scale * size) + 0.5), scale }))
}

/** The resized axes' new sizes and scales; undefined where nothing is known of them. */
const resizedBySizes = (
  ctx: InferContext<ResizeAttributes>,
  from: Shape,
  sizes: ReadonlyArray<Dim>,
): ReadonlyArray<Resized> | undefined => {
  const policy = ctx.attrs.keep_aspect_ratio_policy
  if (policy !== 'stretch') {
    const [known, wanted] = [from.filter(isStatic), sizes.filter(isStatic)]
    return known.length === from.length && wanted.length === from.length ? keptAspect(policy, known, wanted) : undefined
  }
  return sizes.map((size, i) => {
    const before = from[i]
    const scale = size === before ? 1 : isStatic(size) && isStatic(before) ? float32Ratio(size, before) : undefined
    return { size: isKnownElement(size) ? size : unknownDim(ctx.outputNames[0] ?? '', i), scale }
  })
}

const resizedByScales = (
  from: Shape,
  scales: ReadonlyArray<number>,
  unknown: (i: number) => Dim,
): ReadonlyArray<Resized> =>
  from.map((size, i) => {
    const scale = scales[i] ?? 1
    const scaled = scale === 1 ? size : isStatic(size) ? scaledSize(size, scale) : undefined
    return { size: scaled ?? unknown(i), scale }
  })

/** All axes of the output; an axis that is not resized has scale 1. */
const resizedOf = (ctx: InferContext<ResizeAttributes>, from: Shape): ReadonlyArray<Resized> => {
  const axes = resizedAxes(ctx, from.length)
  const listed = axes.map((axis) => from[axis] ?? 1)
  const name = ctx.outputNames[0] ?? ''
  const unknown = (i: number): Dim => unknownDim(name, axes[i] ?? i)
  const [scales, sizes] = [scalesOf(ctx), ctx.opset >= 11 && holds(ctx, 3) ? ctx.content(3) : undefined]
  const found = sizes ? resizedBySizes(ctx, listed, sizes) : scales && resizedByScales(listed, scales, unknown)
  return from.map((size, axis) => {
    const i = axes.indexOf(axis)
    return i < 0 ? { size, scale: 1 } : (found?.[i] ?? { size: unknown(i), scale: undefined })
  })
}

/** Modes under which an axis of scale 1 is not simply kept. */
const shifts = ({ coordinate_transformation_mode: mode }: ResizeAttributes): boolean =>
  mode === 'tf_crop_and_resize' || mode === 'tf_half_pixel_for_nn'

/** Whether an axis keeps all its indices. */
const isKept = (resized: Resized | undefined, size: Dim | undefined): boolean =>
  resized?.scale === 1 && resized.size === size

const resampledAxes = (
  ctx: NodeContext<ResizeAttributes>,
  shape: ReadonlyArray<number>,
): ReadonlyArray<ResampledAxis> | undefined => {
  const roi = ctx.opset >= 11 && holds(ctx, 1) ? ctx.constant(1) : undefined
  const bounds = roi && numbersIn(roi)
  const axes = resizedAxes(ctx, shape.length)
  const out: ResampledAxis[] = []
  for (const [axis, { size, scale }] of resizedOf(ctx, shape).entries()) {
    if (!isStatic(size) || scale === undefined) return undefined
    const i = axes.indexOf(axis)
    const [start, end] = i < 0 || bounds === undefined ? [0, 1] : [bounds[i] ?? 0, bounds[i + axes.length] ?? 1]
    out.push({ from: shape[axis] ?? 0, to: size, scale, start, end })
  }
  return out
}

/**
 * Resamples axes to other sizes, given as `sizes` or by factors `scales`. Weights of one output element add up to 1, so
 * a constant channel stays what it is, except where a crop reads beyond the border.
 */
export const Resize = defineOp<'Resize', ResizeAttributes>({
  name: 'Resize',
  versions: [10, Infinity],
  float32: { ...notDefined, inputs: [1, 2] },
  schema: {
    antialias: int(0),
    axes: optionalInts,
    coordinate_transformation_mode: string(
      'half_pixel',
      'half_pixel_symmetric',
      'pytorch_half_pixel',
      'align_corners',
      'asymmetric',
      'tf_half_pixel_for_nn',
      'tf_crop_and_resize',
    ),
    cubic_coeff_a: float(-0.75),
    exclude_outside: int(0),
    extrapolation_value: float(0),
    keep_aspect_ratio_policy: string('stretch', 'not_larger', 'not_smaller'),
    mode: string('nearest', 'linear', 'cubic'),
    nearest_mode: string('round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'),
  },
  inferTypes: (ctx) => movedType(ctx, (from) => E.right(resizedOf(ctx, from).map(({ size }) => size))),
  links: (ctx) => {
    const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
    if (from === undefined || to === undefined || shifts(ctx.attrs)) return 'opaque'
    const listed = ctx.attrs.keep_aspect_ratio_policy === 'stretch' ? [] : resizedAxes(ctx, from.length)
    const resized = resizedOf(ctx, from)
    return from.flatMap((dim, axis) =>
      isStatic(dim) && dim === to[axis] && isKept(resized[axis], dim) && !listed.includes(axis)
        ? [sameIndex(0, axis, 0, axis)]
        : [],
    )
  },
  constant: (ctx, [x]) => {
    // Integers between two equal ones may be cut off below them.
    const isPassedOn = isReal(ctx) || ctx.attrs.mode === 'nearest'
    return isPassedOn && ctx.attrs.coordinate_transformation_mode !== 'tf_crop_and_resize'
      ? (x ?? undefined)
      : undefined
  },
  shrink: (s) => {
    if (s.opset < 11 || !holds(s, 3)) return gatherOperands(s)
    const axes = resizedAxes(s, inputShape(s, 0)?.length ?? 0)
    const to = outputShape(s) ?? []
    const amounts = axes.map((axis) => {
      const size = to[axis]
      return isStatic(size) ? keptSize(s.keptOutput(0, axis), size) - size : 0
    })
    const constant = s.constant(3)
    const sizes = constant && integersOf(constant)
    if (sizes === undefined) return withAmounts(s, gatherOperands(s), 3, amounts)
    return withOperand(s, gatherOperands(s), 3, int64s(sizes.map((size, i) => size + (amounts[i] ?? 0))))
  },
  identity: (ctx) => {
    const from = inputShape(ctx, 0)
    if (from === undefined || shifts(ctx.attrs)) return undefined
    const resized = resizedOf(ctx, from)
    return from.every((dim, axis) => isKept(resized[axis], dim)) ? 0 : undefined
  },
  // Computed sizes whose ratios are known are written as scales, which need not know the other sizes.
  simplify: (ctx, fresh) => {
    const from = inputShape(ctx, 0)
    const { coordinate_transformation_mode: mode, keep_aspect_ratio_policy: policy } = ctx.attrs
    if (from === undefined || ctx.opset < 11 || !holds(ctx, 3) || ctx.constant(3) !== undefined) return undefined
    if (policy !== 'stretch' || mode === 'tf_crop_and_resize' || mode === 'half_pixel_symmetric') return undefined
    const resized = resizedOf(ctx, from)
    const scales: number[] = []
    for (const axis of resizedAxes(ctx, from.length)) {
      const [dim, found] = [from[axis], resized[axis]]
      if (found?.scale === undefined || (found.scale !== 1 && scaledSize(Number(dim), found.scale) !== found.size))
        return undefined
      scales.push(found.scale)
    }
    const name = fresh(`${ctx.node.outputs[0] ?? ''}_scales`)
    const node = { ...ctx.node, inputs: [...ctx.node.inputs.slice(0, 2), name] }
    return { nodes: [node], constants: new Map([[name, tensorOf('float32', [scales.length], scales)]]) }
  },
  evaluate: (ctx, [x]) => {
    const axes = x && resampledAxes(ctx, x.shape)
    if (!x || !axes || ctx.attrs.antialias !== 0) return undefined
    const old = ctx.opset < 11
    const y = resample(x, axes, {
      mode: ctx.attrs.mode,
      coordinates: old ? 'asymmetric' : ctx.attrs.coordinate_transformation_mode,
      nearest: old ? 'simple' : ctx.attrs.nearest_mode,
      cubic: ctx.attrs.cubic_coeff_a,
      excludeOutside: ctx.attrs.exclude_outside !== 0,
      extrapolation: ctx.attrs.extrapolation_value,
    })
    return y && [y]
  },
})
