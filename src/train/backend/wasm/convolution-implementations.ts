import type { backend_util, NamedAttrMap, TensorInfo } from '@tensorflow/tfjs-core'
import { geometryParameters } from './convolution-kernels.ts'
import {
  type Convolution,
  convolutionParameters,
  packedSize,
  type Packing,
  packingParameters,
} from './convolve-kernels.ts'
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

/** A filter as terms of a sum: where its taps, channels and outputs lie, in elements of the tensor. */
interface Taps extends Omit<Packing, 'filter' | 'packed'> {
  readonly filter: TensorInfo
  /** The element of the first tap. */
  readonly first: number
}

/** Where the outputs of a convolution go. */
interface Places extends Pick<Convolution, 'rows' | 'columns' | 'outImage' | 'outRow' | 'outColumn'> {
  readonly out: TensorInfo
  /** The element of the first output. */
  readonly first: number
}

type Reading = Pick<Convolution, 'top' | 'left' | 'strideHeight' | 'strideWidth'>

/** Convolves `x`; at the bottom and the right it is padded as far as it is read. */
const convolve = ({ machine }: Call, x: TensorInfo, taps: Taps, reading: Reading, places: Places): void => {
  const { filter, first, ...packing } = taps
  const { kernelHeight, kernelWidth, channels, outputs } = packing
  const packed = machine.output([packedSize(kernelHeight * kernelWidth * channels, outputs)], outputs % 4 !== 0)
  machine.call(
    'packFilter',
    ...packingParameters({
      ...packing,
      filter: machine.address(filter) + 4 * first,
      packed: machine.address(packed),
    }),
  )
  const [batch = 0, height = 0, width = 0] = x.shape
  const paddedHeight = (places.rows - 1) * reading.strideHeight + kernelHeight
  const paddedWidth = (places.columns - 1) * reading.strideWidth + kernelWidth
  const isPadded = reading.top !== 0 || reading.left !== 0 || paddedHeight > height || paddedWidth > width
  const sizes = isPadded ? { paddedHeight, paddedWidth } : { paddedHeight: height, paddedWidth: width }
  const scratch = machine.output([isPadded ? paddedHeight * paddedWidth * channels : 0], isPadded)
  const { out, first: place, ...distances } = places
  machine.call(
    'convolve',
    ...convolutionParameters({
      ...reading,
      ...distances,
      ...sizes,
      image: machine.address(x),
      packed: machine.address(packed),
      out: machine.address(out) + 4 * place,
      scratch: machine.address(scratch),
      batch,
      height,
      width,
      channels,
      outputs,
      kernelHeight,
      kernelWidth,
      padded: isPadded ? 1 : 0,
    }),
  )
  machine.free(packed)
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
    { ...info, top: padInfo.top, left: padInfo.left },
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
  Conv2D: conv,
  Conv2DBackpropFilter: convFilterGradient,
  Conv2DBackpropInput: convInputGradient,
  DepthwiseConv2dNativeBackpropFilter: depthwiseFilterGradient,
  DepthwiseConv2dNativeBackpropInput: depthwiseInputGradient,
  MaxPoolGrad: maxPoolGradient,
}
