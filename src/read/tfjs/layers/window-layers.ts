/** Keras layers that move windows over an image, or change its size. */
import * as E from 'fp-ts/lib/Either.js'
import { ReduceMax } from '../../../ir/ops/reduce-max.ts'
import { ReduceMean } from '../../../ir/ops/reduce-mean.ts'
import { shown } from '../error.ts'
import { enlarge } from '../emit/resampling.ts'
import { pad, slice, toEnd } from '../emit/shaping.ts'
import { reduce } from '../emit/reduction.ts'
import {
  averagePool,
  convolution,
  depthwise,
  kernelOf,
  maxPool,
  transposedConvolution,
  type Window,
} from '../emit/window.ts'
import {
  activated,
  channelsOf,
  type LayerCall,
  type LayerLowering,
  one,
  onInput,
  onRanked,
  weightsOf,
} from './config.ts'

const windowOf = (call: LayerCall, kernel: ReadonlyArray<number>): E.Either<string, Window> => {
  const { config } = call
  const rank = kernel.length
  const shared = {
    kernel,
    strides: config.numbers('strides', rank, 1),
    dilations: config.numbers('dilation_rate', rank, 1),
    channels: channelsOf(call),
  }
  const padding = config.text('padding', 'valid')
  if (padding === 'same' || padding === 'valid') return E.right({ ...shared, padding })
  return E.left(`padding ${padding}`)
}

/** The weights that are there: a bias only where one is used. */
const withBias = (call: LayerCall, names: ReadonlyArray<string>): ReturnType<typeof weightsOf> =>
  weightsOf(call, call.config.bool('use_bias', true) ? [...names, 'bias'] : names)

const convolving = (kernelName: string, convolve: typeof convolution): LayerLowering =>
  onInput((call, x) => {
    const weights = withBias(call, [kernelName])
    if (E.isLeft(weights)) return weights
    const [kernel, bias] = weights.right
    const size = kernel && kernelOf(call.b, kernel)
    if (kernel === undefined || size === undefined || size.length === 0) return E.left('no kernel')
    const window = windowOf(call, size)
    if (E.isLeft(window)) return window
    return activated(call, convolve(call.b, x, kernel, bias, window.right))
  })

/** Each channel by itself, and then a product at every position. */
const separable: LayerLowering = onInput((call, x) => {
  const weights = withBias(call, ['depthwise_kernel', 'pointwise_kernel'])
  if (E.isLeft(weights)) return weights
  const [each, product, bias] = weights.right
  const size = each && kernelOf(call.b, each)
  if (each === undefined || product === undefined || size === undefined) return E.left('no kernel')
  const window = windowOf(call, size)
  if (E.isLeft(window)) return window
  const ones = size.map(() => 1)
  const inner = depthwise(call.b, x, each, undefined, window.right)
  const point: Window = { ...window.right, kernel: ones, strides: ones, dilations: ones, padding: 'valid' }
  return activated(call, convolution(call.b, inner, product, bias, point))
})

/** The sizes are multiplied by the strides, and with padding `valid` as much added as the kernel is larger. */
const transposed: LayerLowering = onInput((call, x) => {
  const weights = withBias(call, ['kernel'])
  if (E.isLeft(weights)) return weights
  const [kernel, bias] = weights.right
  const size = kernel && kernelOf(call.b, kernel)
  if (kernel === undefined || size === undefined) return E.left('no kernel')
  const window = windowOf(call, size)
  if (E.isLeft(window)) return window
  const { strides, padding, dilations } = window.right
  if (dilations.some((rate) => rate !== 1)) return E.left('a dilation_rate above 1')
  if (call.config.has('output_padding')) return E.left('output_padding')
  const surplus = size.map((length, axis) => {
    const total = length - (strides[axis] ?? 1)
    return padding === 'same' ? total : Math.min(0, total)
  })
  return activated(call, transposedConvolution(call.b, x, kernel, bias, window.right, surplus))
})

const pooling = (pool: typeof maxPool): LayerLowering =>
  onRanked((call, x, rank) => {
    const size = call.config.numbers('pool_size', rank - 2, 2)
    const window = windowOf(call, size)
    if (E.isLeft(window)) return window
    const strides = call.config.has('strides') ? window.right.strides : size
    return one(pool(call.b, x, { ...window.right, strides, dilations: size.map(() => 1) }))
  })

const globalPooling = (op: typeof ReduceMean | typeof ReduceMax): LayerLowering =>
  onRanked((call, x, rank) => {
    const from = channelsOf(call) === 'first' ? 2 : 1
    const axes = new Set(Array.from({ length: rank - 2 }, (_, i) => i + from))
    const keep = call.config.bool('keepdims', false)
    return one(
      op.name === 'ReduceMax' ? reduce(call.b, ReduceMax, x, axes, keep) : reduce(call.b, ReduceMean, x, axes, keep),
    )
  })

const isInteger = (x: unknown): x is number => Number.isSafeInteger(x)

/** `n`, `[n, m]` or `[[n, n'], [m, m']]`: how much before and behind, for height and width. */
const bordersOf = (given: unknown): ReadonlyArray<readonly [number, number]> | undefined => {
  const list = Array.isArray(given) ? given : [given, given]
  const borders = list.flatMap((entry): ReadonlyArray<readonly [number, number]> => {
    const [before, behind]: ReadonlyArray<unknown> = Array.isArray(entry) ? entry : [entry, entry]
    return isInteger(before) && isInteger(behind) ? [[before, behind]] : []
  })
  return borders.length === 2 ? borders : undefined
}

const zeroPadding: LayerLowering = onInput((call, x) => {
  const borders = call.config.has('padding') ? bordersOf(call.config.raw('padding')) : bordersOf(1)
  if (borders === undefined) return E.left(`padding ${shown(call.config.raw('padding'))}`)
  const none = [0, 0] as const
  const amounts = channelsOf(call) === 'first' ? [none, none, ...borders] : [none, ...borders, none]
  return one(pad(call.b, x, amounts, 'constant'))
})

const cropping: LayerLowering = onInput((call, x) => {
  const borders = bordersOf(call.config.raw('cropping'))
  if (borders === undefined) return E.left(`cropping ${shown(call.config.raw('cropping'))}`)
  const from = channelsOf(call) === 'first' ? 2 : 1
  const ranges = borders.map(([before, behind], i) => ({
    axis: from + i,
    start: before,
    end: behind === 0 ? toEnd : -behind,
    step: 1,
  }))
  return one(slice(call.b, x, ranges))
})

/** TensorFlow.js places what is between two pixels as if they had no width, unlike Keras itself. */
const upSampling: LayerLowering = onInput((call, x) => {
  if (channelsOf(call) === 'first') return E.left('data_format channels_first')
  const interpolation = call.config.text('interpolation', 'nearest')
  if (interpolation !== 'nearest' && interpolation !== 'bilinear') return E.left(`interpolation ${interpolation}`)
  const factors = call.config.numbers('size', 2, 2)
  const mode = interpolation === 'nearest' ? 'nearest' : 'linear'
  return one(enlarge(call.b, x, factors, mode, { alignCorners: false, halfPixelCenters: false }))
})

export const windowLayers: ReadonlyArray<readonly [string, LayerLowering]> = [
  ['Conv1D', convolving('kernel', convolution)],
  ['Conv2D', convolving('kernel', convolution)],
  ['Conv3D', convolving('kernel', convolution)],
  ['DepthwiseConv2D', convolving('depthwise_kernel', depthwise)],
  ['SeparableConv2D', separable],
  ['Conv2DTranspose', transposed],
  ['Conv3DTranspose', transposed],
  ['MaxPooling1D', pooling(maxPool)],
  ['MaxPooling2D', pooling(maxPool)],
  ['MaxPooling3D', pooling(maxPool)],
  ['AveragePooling1D', pooling(averagePool)],
  ['AveragePooling2D', pooling(averagePool)],
  ['AveragePooling3D', pooling(averagePool)],
  ['GlobalAveragePooling1D', globalPooling(ReduceMean)],
  ['GlobalAveragePooling2D', globalPooling(ReduceMean)],
  ['GlobalMaxPooling1D', globalPooling(ReduceMax)],
  ['GlobalMaxPooling2D', globalPooling(ReduceMax)],
  ['ZeroPadding2D', zeroPadding],
  ['Cropping2D', cropping],
  ['UpSampling2D', upSampling],
]
