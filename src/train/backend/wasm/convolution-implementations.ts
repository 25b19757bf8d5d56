import type { backend_util, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core'
import { geometryParameters } from './convolution-kernels.ts'
import type { Call, Implementations } from './register.ts'

type Info = backend_util.Conv2DInfo

const numbers = (value: unknown): ReadonlyArray<number> =>
  typeof value === 'number' ? [value] : Array.isArray(value) ? value.filter((n) => typeof n === 'number') : []

const four = (value: unknown): [number, number, number, number] => {
  const [a = 1, b = 1, c = 1, d = 1] = numbers(value)
  return [a, b, c, d]
}

const padOf = (pad: NamedAttrMap[string] | undefined): backend_util.ExplicitPadding | 'valid' | 'same' | number => {
  if (pad === 'valid') return 'valid'
  if (pad === 'same') return 'same'
  if (typeof pad === 'number') return pad
  const sides = Array.isArray(pad) ? pad.map(numbers) : []
  const side = (axis: number): [number, number] => [sides[axis]?.[0] ?? 0, sides[axis]?.[1] ?? 0]
  return [side(0), side(1), side(2), side(3)]
}

/** What a convolution of these attributes does to an image and a filter. */
const infoOf = ({ core, attributes }: Call, image: unknown, filter: unknown, depthwise: boolean): Info => {
  const [strideHeight = 1, strideWidth = strideHeight] = numbers(attributes['strides'])
  const [dilationHeight = 1, dilationWidth = dilationHeight] = numbers(attributes['dilations'])
  return core.backend_util.computeConv2DInfo(
    four(image),
    four(filter),
    [strideHeight, strideWidth],
    [dilationHeight, dilationWidth],
    padOf(attributes['pad']),
    'floor',
    depthwise,
  )
}

const parametersOf = (info: Info): ReadonlyArray<number> =>
  geometryParameters({
    batch: info.batchSize,
    height: info.inHeight,
    width: info.inWidth,
    channels: info.inChannels,
    rows: info.outHeight,
    columns: info.outWidth,
    outputs: info.outChannels,
    kernelHeight: info.filterHeight,
    kernelWidth: info.filterWidth,
    strideHeight: info.strideHeight,
    strideWidth: info.strideWidth,
    top: info.padInfo.top,
    left: info.padInfo.left,
  })

const convFilterGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [x, dy, shape] = [input('x'), input('dy'), four(attributes['filterShape'])]
  const out = machine.output(shape, true)
  const info = infoOf(call, x.shape, shape, false)
  machine.call('convFilterGradient', ...[x, dy, out].map(machine.address), ...parametersOf(info))
  return out
}

/** Along one axis: the part of a stride that the phase is, the taps that reach it, and where its sum starts. */
interface Phase {
  readonly offset: number
  readonly taps: number
}

const phasesOf = (kernel: number, stride: number): ReadonlyArray<Phase> =>
  Array.from({ length: stride }, (_, offset) => ({
    offset,
    taps: Math.max(0, Math.ceil((kernel - offset) / stride)),
  }))

/**
 * The taps of a phase of a filter `[h, w, inputs, outputs]`, last first and with its channels swapped:
 * `[taps, taps, outputs, inputs]`.
 */
const turned = ({ machine }: Call, filter: TensorInfo, info: Info, vertical: Phase, horizontal: Phase): TensorInfo => {
  const { inChannels: inputs, outChannels: outputs, filterWidth, strideHeight, strideWidth } = info
  const out = machine.output([vertical.taps, horizontal.taps, outputs, inputs])
  const [from, to] = [machine.floats(filter), machine.floats(out)]
  let at = 0
  for (let h = vertical.taps - 1; h >= 0; h--) {
    for (let w = horizontal.taps - 1; w >= 0; w--) {
      const tap = (vertical.offset + h * strideHeight) * filterWidth + horizontal.offset + w * strideWidth
      const base = tap * inputs * outputs
      for (let o = 0; o < outputs; o++) {
        for (let i = 0; i < inputs; i++) to[at++] = from[base + i * outputs + o] ?? 0
      }
    }
  }
  return out
}

/** A convolution of `dy` without stride by a turned filter; `rows` by `columns` places after `top` and `left` of padding. */
const correlate = (
  { stock }: Call,
  dy: TensorInfo,
  filter: TensorInfo,
  [rows, columns]: readonly [number, number],
  [top, left]: readonly [number, number],
): TensorInfo => {
  const [, height = 0, width = 0] = dy.shape
  const [taps = 0, across = 0] = filter.shape
  const pad = [
    [0, 0],
    [top, rows - (height - taps + 1) - top],
    [left, columns - (width - across + 1) - left],
    [0, 0],
  ]
  return stock(
    'Conv2D',
    { x: dy, filter },
    { strides: [1, 1], dilations: [1, 1], pad, dataFormat: 'NHWC', dimRoundingMode: 'floor' },
  )
}

/**
 * The gradient of an image is `dy` convolved with the turned filter. With a stride s each of the s·s phases of the padded
 * image is such a convolution with every s-th tap, and the phases are interleaved.
 */
const convInputGradient = (call: Call): TensorInfo => {
  const { input, attributes, stock, machine } = call
  const [dy, filter, shape] = [input('dy'), input('filter'), four(attributes['inputShape'])]
  const info = infoOf(call, shape, filter.shape, false)
  const { filterHeight, filterWidth, strideHeight: stride, padInfo, inHeight, inWidth, batchSize, inChannels } = info
  const { top, left } = padInfo
  if (stride === 1 && info.strideWidth === 1) {
    const pads = [filterHeight - 1 - top, filterWidth - 1 - left] as const
    const ends = [inHeight - info.outHeight + top, inWidth - info.outWidth + left]
    if ([...pads, ...ends].some((pad) => pad < 0)) return stock('Conv2DBackpropInput', { dy, filter }, attributes)
    const back = turned(call, filter, info, { offset: 0, taps: filterHeight }, { offset: 0, taps: filterWidth })
    const dx = correlate(call, dy, back, [inHeight, inWidth], pads)
    machine.free(back)
    return dx
  }
  const [rows, columns] = [Math.ceil((inHeight + top) / stride), Math.ceil((inWidth + left) / stride)]
  if (stride !== info.strideWidth || rows < info.outHeight || columns < info.outWidth) {
    return stock('Conv2DBackpropInput', { dy, filter }, attributes)
  }
  const whole = machine.output([batchSize, rows * stride, columns * stride, inChannels], true)
  for (const vertical of phasesOf(filterHeight, stride)) {
    for (const horizontal of phasesOf(filterWidth, stride)) {
      if (vertical.taps === 0 || horizontal.taps === 0) continue
      const back = turned(call, filter, info, vertical, horizontal)
      const part = correlate(call, dy, back, [rows, columns], [vertical.taps - 1, horizontal.taps - 1])
      machine.call(
        'scatterPixels',
        machine.address(part),
        machine.address(whole),
        batchSize * rows,
        columns,
        inChannels,
        stride,
        vertical.offset,
        horizontal.offset,
      )
      machine.free(back)
      machine.free(part)
    }
  }
  if (top === 0 && left === 0 && rows * stride === inHeight && columns * stride === inWidth) return whole
  const dx = stock('Slice', { x: whole }, { begin: [0, top, left, 0], size: shape })
  machine.free(whole)
  return dx
}

/** Depthwise convolutions of several outputs for each input are taken apart: one for each, on every channel. */
const perMultiplier = (filterShape: ReadonlyArray<number>): number => filterShape[3] ?? 1

const depthwiseFilterGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [x, dy, shape] = [input('x'), input('dy'), four(attributes['filterShape'])]
  const info = infoOf(call, x.shape, shape, true)
  const count = perMultiplier(shape)
  const out = machine.output(shape, true)
  if (count === 1) {
    machine.call('depthwiseFilterGradient', ...[x, dy, out].map(machine.address), ...parametersOf(info))
    return out
  }
  for (let q = 0; q < count; q++) {
    const part = everyNth(call, dy, q, count)
    const gradient = machine.output([shape[0], shape[1], shape[2]], true)
    machine.call('depthwiseFilterGradient', ...[x, part, gradient].map(machine.address), ...parametersOf(info))
    const [from, to] = [machine.floats(gradient), machine.floats(out)]
    for (let i = 0; i < from.length; i++) to[i * count + q] = from[i] ?? 0
    machine.free(part)
    machine.free(gradient)
  }
  return out
}

const depthwiseInputGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [dy, filter, shape] = [input('dy'), input('filter'), four(attributes['inputShape'])]
  const info = infoOf(call, shape, filter.shape, true)
  const count = perMultiplier(filter.shape)
  const out = machine.output(shape, true)
  for (let q = 0; q < count; q++) {
    const part = count === 1 ? dy : everyNth(call, dy, q, count)
    const taps = count === 1 ? filter : everyNth(call, filter, q, count)
    machine.call('depthwiseInputGradient', ...[out, part, taps].map(machine.address), ...parametersOf(info))
    if (count === 1) continue
    machine.free(part)
    machine.free(taps)
  }
  return out
}

/** Every `count`-th element of a tensor from element `first` on. */
const everyNth = ({ machine }: Call, x: TensorInfo, first: number, count: number): TensorInfo => {
  const size = x.shape.reduce((n, d) => n * d, 1) / count
  const out = machine.output([size])
  const [from, to] = [machine.floats(x), machine.floats(out)]
  for (let i = 0; i < size; i++) to[i] = from[i * count + first] ?? 0
  return out
}

/** The stock kernel loses the gradients of some windows that begin in the padding. */
const maxPoolGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [x, y, dy] = [input('input'), input('output'), input('dy')]
  const [height = 1, width = height] = numbers(attributes['filterSize'])
  const [, , , channels = 1] = x.shape
  const info = infoOf(call, x.shape, [height, width, channels, 1], true)
  const out = machine.output(x.shape, true)
  machine.call('maxPoolGradient', ...[x, y, dy, out].map(machine.address), ...parametersOf(info))
  return out
}

export const convolutionImplementations: Implementations = {
  Conv2DBackpropFilter: convFilterGradient,
  Conv2DBackpropInput: convInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  MaxPoolGrad: maxPoolGradient,
}
