import type { backend_util, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core'
import type { Call, Implementations } from './implementation.ts'

type Info = backend_util.Conv2DInfo

/** The kernels compute outputs in blocks of this many, or of twice as many. */
const block = 4

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

/** The last parameters of all kernels of gradients, in their order. */
const parametersOf = (info: Info): ReadonlyArray<number> => [
  info.batchSize,
  info.inHeight,
  info.inWidth,
  info.inChannels,
  info.outHeight,
  info.outWidth,
  info.outChannels,
  info.filterHeight,
  info.filterWidth,
  info.strideHeight,
  info.strideWidth,
  info.padInfo.top,
  info.padInfo.left,
]

const convFilterGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [x, dy, shape] = [input('x'), input('dy'), four(attributes['filterShape'])]
  const out = machine.output(shape, true)
  const info = infoOf(call, x.shape, shape, false)
  const units = info.filterHeight * info.filterWidth * Math.ceil(info.inChannels / 4)
  machine.call('convFilterGradient', units, ...[x, dy, out].map(machine.address), ...parametersOf(info))
  return out
}

/** A filter as terms of a sum: how many there are, and where they lie, in elements of the tensor. */
interface Taps {
  readonly filter: TensorInfo
  /** The element of the first tap. */
  readonly first: number
  readonly kernelHeight: number
  readonly kernelWidth: number
  readonly channels: number
  readonly outputs: number
  /** From one to the next along each axis; may be negative. */
  readonly rowStep: number
  readonly columnStep: number
  readonly channelStep: number
  readonly outputStep: number
}

/** How an image is read: what is in front of it (may be negative), and from one output to the next. */
interface Reading {
  readonly top: number
  readonly left: number
  readonly strideHeight: number
  readonly strideWidth: number
}

/** Where the outputs of a convolution go: how many, and from one to the next along each axis, in elements. */
interface Places {
  readonly out: TensorInfo
  /** The element of the first output. */
  readonly first: number
  readonly rows: number
  readonly columns: number
  readonly outImage: number
  readonly outRow: number
  readonly outColumn: number
}

/** `filter` as the kernel reads it. */
const packed = ({ machine }: Call, taps: Taps): TensorInfo => {
  const { filter, first, kernelHeight, kernelWidth, channels, outputs } = taps
  const whole = Math.ceil(outputs / block) * block
  const out = machine.output([kernelHeight * kernelWidth * channels * whole], whole !== outputs)
  const addresses = [machine.address(filter) + 4 * first, machine.address(out)]
  const sizes = [kernelHeight, kernelWidth, channels, outputs]
  const steps = [taps.rowStep, taps.columnStep, taps.channelStep, taps.outputStep]
  machine.callAlone('packFilter', outputs, ...addresses, ...sizes, ...steps)
  return out
}

/** Convolves `x`; at the bottom and the right it is padded as far as it is read. */
const convolve = (call: Call, x: TensorInfo, taps: Taps, reading: Reading, places: Places): void => {
  const { machine } = call
  const { kernelHeight, kernelWidth, channels, outputs } = taps
  const { top, left, strideHeight, strideWidth } = reading
  const { out, first, rows, columns, outImage, outRow, outColumn } = places
  const [batch = 0, height = 0, width = 0] = x.shape
  const readHeight = (rows - 1) * strideHeight + kernelHeight
  const readWidth = (columns - 1) * strideWidth + kernelWidth
  const isPadded = top !== 0 || left !== 0 || readHeight > height || readWidth > width
  const [paddedHeight, paddedWidth] = isPadded ? [readHeight, readWidth] : [height, width]
  const filter = packed(call, taps)
  const scratch = machine.output([isPadded ? machine.threads * paddedHeight * paddedWidth * channels : 0], isPadded)
  const addresses = [
    machine.address(x),
    machine.address(filter),
    machine.address(out) + 4 * first,
    machine.address(scratch),
  ]
  const source = [height, width, channels, top, left, paddedHeight, paddedWidth]
  const sizes = [rows, columns, outputs, kernelHeight, kernelWidth, strideHeight, strideWidth]
  const target = [outImage, outRow, outColumn]
  machine.call('convolve', batch, ...addresses, ...source, ...sizes, ...target, isPadded ? 1 : 0)
  machine.free(filter)
  machine.free(scratch)
}

const conv = (call: Call): TensorInfo => {
  const { machine, input, attributes, stock } = call
  const [x, filter] = [input('x'), input('filter')]
  if (attributes['dataFormat'] !== 'NHWC' || numbers(attributes['dilations']).some((dilation) => dilation !== 1)) {
    return stock('Conv2D', { x, filter }, attributes)
  }
  const info = infoOf(call, x.shape, filter.shape, false)
  const { filterHeight, filterWidth, inChannels, outChannels, outHeight, outWidth, padInfo } = info
  const out = machine.output([info.batchSize, outHeight, outWidth, outChannels])
  const tap = inChannels * outChannels
  const taps: Taps = {
    filter,
    first: 0,
    kernelHeight: filterHeight,
    kernelWidth: filterWidth,
    channels: inChannels,
    outputs: outChannels,
    rowStep: filterWidth * tap,
    columnStep: tap,
    channelStep: outChannels,
    outputStep: 1,
  }
  convolve(
    call,
    x,
    taps,
    { top: padInfo.top, left: padInfo.left, strideHeight: info.strideHeight, strideWidth: info.strideWidth },
    {
      out,
      first: 0,
      rows: outHeight,
      columns: outWidth,
      outImage: outHeight * outWidth * outChannels,
      outRow: outWidth * outChannels,
      outColumn: outChannels,
    },
  )
  return out
}

/** Along one axis, the places of an image whose distance from the first tap is `offset` more than whole strides. */
interface Phase {
  readonly offset: number
  /** Taps that reach them. */
  readonly taps: number
  /** The first of them in strides from the first tap, the first in the image, and how many there are. */
  readonly begin: number
  readonly place: number
  readonly count: number
}

const phasesOf = (kernel: number, stride: number, size: number, pad: number): ReadonlyArray<Phase> =>
  Array.from({ length: Math.min(stride, size + pad) }, (_, offset) => {
    const begin = Math.ceil((pad - offset) / stride)
    return {
      offset,
      taps: Math.max(0, Math.ceil((kernel - offset) / stride)),
      begin,
      place: begin * stride + offset - pad,
      count: Math.ceil((size + pad - offset) / stride) - begin,
    }
  })

/**
 * The gradient of an image is `dy` convolved with the filter, its taps last first and its channels swapped. With a stride
 * s each of the s·s phases of the image is such a convolution with every s-th tap.
 */
const convInputGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [dy, filter, shape] = [input('dy'), input('filter'), four(attributes['inputShape'])]
  const info = infoOf(call, shape, filter.shape, false)
  const { filterHeight, filterWidth, strideHeight, strideWidth, padInfo, inHeight, inWidth, inChannels } = info
  const outputs = info.outChannels
  const tap = inChannels * outputs
  const vertical = phasesOf(filterHeight, strideHeight, inHeight, padInfo.top)
  const horizontal = phasesOf(filterWidth, strideWidth, inWidth, padInfo.left)
  const out = machine.output(
    shape,
    [...vertical, ...horizontal].some(({ taps }) => taps === 0),
  )
  for (const down of vertical) {
    for (const across of horizontal) {
      if ([down, across].some(({ taps, count }) => taps === 0 || count <= 0)) continue
      const lastTap = [down.offset + (down.taps - 1) * strideHeight, across.offset + (across.taps - 1) * strideWidth]
      const taps: Taps = {
        filter,
        first: ((lastTap[0] ?? 0) * filterWidth + (lastTap[1] ?? 0)) * tap,
        kernelHeight: down.taps,
        kernelWidth: across.taps,
        channels: outputs,
        outputs: inChannels,
        rowStep: -strideHeight * filterWidth * tap,
        columnStep: -strideWidth * tap,
        channelStep: 1,
        outputStep: outputs,
      }
      const reading: Reading = {
        top: down.taps - 1 - down.begin,
        left: across.taps - 1 - across.begin,
        strideHeight: 1,
        strideWidth: 1,
      }
      convolve(call, dy, taps, reading, {
        out,
        first: (down.place * inWidth + across.place) * inChannels,
        rows: down.count,
        columns: across.count,
        outImage: inHeight * inWidth * inChannels,
        outRow: strideHeight * inWidth * inChannels,
        outColumn: strideWidth * inChannels,
      })
    }
  }
  return out
}

/** Depthwise convolutions of several outputs for each input are taken apart: one for each, on every channel. */
const perMultiplier = (filterShape: ReadonlyArray<number>): number => filterShape[3] ?? 1

const depthwiseFilterGradient = (call: Call): TensorInfo => {
  const { machine, input, attributes } = call
  const [x, dy, shape] = [input('x'), input('dy'), four(attributes['filterShape'])]
  const info = infoOf(call, x.shape, shape, true)
  const count = perMultiplier(shape)
  const units = Math.ceil(info.inChannels / 4)
  const out = machine.output(shape, true)
  if (count === 1) {
    machine.call('depthwiseFilterGradient', units, ...[x, dy, out].map(machine.address), ...parametersOf(info))
    return out
  }
  for (let q = 0; q < count; q++) {
    const part = everyNth(call, dy, q, count)
    const gradient = machine.output([shape[0], shape[1], shape[2]], true)
    machine.call('depthwiseFilterGradient', units, ...[x, part, gradient].map(machine.address), ...parametersOf(info))
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
    machine.call(
      'depthwiseInputGradient',
      info.batchSize,
      ...[out, part, taps].map(machine.address),
      ...parametersOf(info),
    )
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
  machine.call('maxPoolGradient', info.batchSize, ...[x, y, dy, out].map(machine.address), ...parametersOf(info))
  return out
}

export const convolutionImplementations: Implementations = {
  Conv2D: conv,
  Conv2DBackpropFilter: convFilterGradient,
  Conv2DBackpropInput: convInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  MaxPoolGrad: maxPoolGradient,
}
