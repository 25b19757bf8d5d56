/** Convolutions and pooling: windows over the axes between the batch and the channels. */
import { AveragePool } from '../../../ir/ops/average-pool.ts'
import { Conv } from '../../../ir/ops/conv.ts'
import { ConvTranspose } from '../../../ir/ops/conv-transpose.ts'
import { MaxPool } from '../../../ir/ops/max-pool.ts'
import { isStatic, staticShape } from '../../../ir/type.ts'
import type { Builder } from '../builder.ts'
import type { Layout, Operand } from '../operand.ts'

export interface Window {
  readonly kernel: ReadonlyArray<number>
  readonly strides: ReadonlyArray<number>
  readonly dilations: ReadonlyArray<number>
  /** As much as keeps `ceil(size / stride)` places, more of it behind; none; or what is given, begins and then ends. */
  readonly padding: 'same' | 'valid' | ReadonlyArray<number>
  /** Where the model has the channels of what the window moves over. */
  readonly channels: Layout
}

/** The value with channels first, which it may have in the model already. */
const enter = (b: Builder, x: Operand, channels: Layout): string => (channels === 'first' ? b.last(x) : b.first(x))

const leave = (b: Builder, value: string, channels: Layout): Operand =>
  b.computed(value, channels === 'first' ? 'last' : 'first')

const split = (totals: ReadonlyArray<number>): ReadonlyArray<number> => [
  ...totals.map((total) => Math.floor(total / 2)),
  ...totals.map((total) => Math.ceil(total / 2)),
]

type Padding = { readonly pads: ReadonlyArray<number> } | { readonly auto_pad: 'SAME_UPPER' }

/** What ONNX pads the spatial axes of `value` by. */
const paddingOf = (b: Builder, value: string, { kernel, strides, dilations, padding }: Window): Padding => {
  if (padding === 'valid') return { pads: kernel.flatMap(() => [0, 0]) }
  if (padding !== 'same') return { pads: padding }
  const type = b.typeOf(value)
  const sizes = type.kind === 'tensor' ? type.shape?.slice(2) : undefined
  const totals = kernel.map((size, axis) => {
    const reach = (size - 1) * (dilations[axis] ?? 1)
    const [stride = 1, length] = [strides[axis], sizes?.[axis]]
    if (stride === 1) return reach
    return isStatic(length) ? Math.max(0, (Math.ceil(length / stride) - 1) * stride + reach + 1 - length) : undefined
  })
  const known = totals.filter((total) => total !== undefined)
  return known.length === totals.length ? { pads: split(known) } : { auto_pad: 'SAME_UPPER' }
}

const attributesOf = (b: Builder, value: string, window: Window) => ({
  dilations: window.dilations,
  kernel_shape: window.kernel,
  strides: window.strides,
  ...paddingOf(b, value, window),
})

/** The kernel sizes of a filter, which are in front of its channels. */
export const kernelOf = (b: Builder, filter: Operand): ReadonlyArray<number> | undefined =>
  staticShape(b.shapeOf(filter))?.slice(0, -2)

/** The filter `[...kernel, in, out]` as `[out, in, ...kernel]`. */
const filterOf = (b: Builder, filter: Operand, { kernel }: Window): string =>
  b.arranged(filter, [kernel.length + 1, kernel.length, ...kernel.keys()])

const channelsOf = (b: Builder, value: string): number | undefined => {
  const type = b.typeOf(value)
  const size = type.kind === 'tensor' ? type.shape?.[1] : undefined
  return isStatic(size) ? size : undefined
}

/** A convolution, in as many groups as the filter has fewer channels than `x`. */
export const convolution = (
  b: Builder,
  x: Operand,
  filter: Operand,
  bias: Operand | undefined,
  window: Window,
): Operand => {
  const value = enter(b, x, window.channels)
  const inputs = [value, filterOf(b, filter, window), ...(bias === undefined ? [] : [b.last(bias)])]
  const [read, each] = [channelsOf(b, value), b.shapeOf(filter)?.at(-2)]
  const group = read !== undefined && isStatic(each) && each > 0 && read % each === 0 ? read / each : 1
  return leave(b, b.node(Conv, inputs, { ...attributesOf(b, value, window), group }), window.channels)
}

/** A convolution of each channel by itself; the filter is `[...kernel, in, multiplier]`. */
export const depthwise = (
  b: Builder,
  x: Operand,
  filter: Operand,
  bias: Operand | undefined,
  window: Window,
): Operand => {
  const rank = window.kernel.length
  const [read = 1, each = 1] = staticShape(b.shapeOf(filter))?.slice(-2) ?? []
  const arranged = b.arranged(filter, [rank, rank + 1, ...window.kernel.keys()], [read * each, 1, ...window.kernel])
  const value = enter(b, x, window.channels)
  const inputs = [value, arranged, ...(bias === undefined ? [] : [b.last(bias)])]
  return leave(b, b.node(Conv, inputs, { ...attributesOf(b, value, window), group: read }), window.channels)
}

/**
 * The gradient of a convolution, with the filter `[...kernel, out, in]`. Of each axis `surplus` places of the full result are
 * left out, more of them behind; where it is negative, places are added behind.
 */
export const transposedConvolution = (
  b: Builder,
  x: Operand,
  filter: Operand,
  bias: Operand | undefined,
  window: Omit<Window, 'padding'>,
  surplus: ReadonlyArray<number>,
): Operand => {
  const value = enter(b, x, window.channels)
  const rank = window.kernel.length
  const arranged = b.arranged(filter, [rank + 1, rank, ...window.kernel.keys()])
  const inputs = [value, arranged, ...(bias === undefined ? [] : [b.last(bias)])]
  const attributes = {
    dilations: window.dilations,
    kernel_shape: window.kernel,
    output_padding: surplus.map((total) => Math.max(0, -total)),
    pads: split(surplus.map((total) => Math.max(0, total))),
    strides: window.strides,
  }
  return leave(b, b.node(ConvTranspose, inputs, attributes), window.channels)
}

/** The largest of what lies inside. */
export const maxPool = (b: Builder, x: Operand, window: Window): Operand => {
  const value = enter(b, x, window.channels)
  return leave(b, b.node(MaxPool, [value], attributesOf(b, value, window)), window.channels)
}

/** The mean of what lies inside; padding does not count. */
export const averagePool = (b: Builder, x: Operand, window: Window): Operand => {
  const value = enter(b, x, window.channels)
  // Before opset 19 there are no dilations, and nothing of TensorFlow has any here.
  const { dilations: _, ...attrs } = attributesOf(b, value, window)
  return leave(b, b.node(AveragePool, [value], attrs), window.channels)
}
