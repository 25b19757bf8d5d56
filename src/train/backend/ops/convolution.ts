/** Convolutions and pooling of images `[N, H, W, C]`, with their gradients. */
import type { Core, Tensor } from '../tensor.ts'
import type { BasicOps, ConvolutionOps, PoolSteps, Steps } from './types.ts'

export const convolutionOps = (core: Core, ops: BasicOps, backend: string): ConvolutionOps => {
  const engine = core.engine()
  const explicit = backend !== 'tensorflow'
  /** The attributes of a kernel and, where it knows no such padding, the padding that has to be made first. */
  const prepare = (steps: Steps, size: readonly [height: number, width: number]) => {
    const border = borderOf(steps)
    const isPadded = steps.pads.some((pad) => pad !== 0)
    const isSame = !explicit && isPadded && keepsSize(steps, size)
    const pad = !isPadded ? 'valid' : explicit ? border.map((sides) => [...sides]) : isSame ? 'same' : 'valid'
    return {
      attributes: {
        strides: [...steps.strides],
        pad,
        dataFormat: 'NHWC',
        dilations: [1, 1],
        dimRoundingMode: explicit && isPadded ? 'floor' : '',
      },
      border: isPadded && !explicit && !isSame ? border : undefined,
    }
  }
  const padded = (x: Tensor, border: Border | undefined, value = 0): Tensor =>
    border === undefined ? x : ops.pad(x, border, value)
  const paddedShape = (shape: ReadonlyArray<number>, border: Border | undefined): number[] =>
    shape.map((size, axis) => size + (border?.[axis]?.[0] ?? 0) + (border?.[axis]?.[1] ?? 0))
  const cropped = (dx: Tensor, shape: ReadonlyArray<number>, border: Border | undefined): Tensor => {
    if (border === undefined) return dx
    const begins = border.map(([begin]) => begin)
    return ops.slice(dx, begins, shape)
  }
  const forward =
    (kernel: string): ConvolutionOps['conv'] =>
    (x, filter, steps) => {
      const { attributes, border } = prepare(steps, sizeOf(filter.shape))
      return engine.runKernel(kernel, { x: padded(x, border), filter }, attributes)
    }
  const inputGradient =
    (kernel: string): ConvolutionOps['convInputGradient'] =>
    (dy, filter, shape, steps) => {
      const { attributes, border } = prepare(steps, sizeOf(filter.shape))
      const inputShape = paddedShape(shape, border)
      return cropped(engine.runKernel(kernel, { dy, filter }, { ...attributes, inputShape }), shape, border)
    }
  const filterGradient =
    (kernel: string): ConvolutionOps['convFilterGradient'] =>
    (x, dy, filterShape, steps) => {
      const { attributes, border } = prepare(steps, sizeOf(filterShape))
      return engine.runKernel(kernel, { x: padded(x, border), dy }, { ...attributes, filterShape: [...filterShape] })
    }
  const pooling = (steps: PoolSteps) => {
    const { attributes, border } = prepare(steps, steps.size)
    return { attributes: { ...attributes, filterSize: [...steps.size] }, border }
  }
  return {
    conv: forward('Conv2D'),
    convInputGradient: inputGradient('Conv2DBackpropInput'),
    convFilterGradient: filterGradient('Conv2DBackpropFilter'),
    depthwise: forward('DepthwiseConv2dNative'),
    depthwiseInputGradient: inputGradient('DepthwiseConv2dNativeBackpropInput'),
    depthwiseFilterGradient: filterGradient('DepthwiseConv2dNativeBackpropFilter'),
    maxPool: (x, steps) => {
      const { attributes, border } = pooling(steps)
      return engine.runKernel('MaxPool', { x: padded(x, border, lowest) }, attributes)
    },
    maxPoolGradient: (dy, x, y, steps) => {
      const { attributes, border } = pooling(steps)
      const input = padded(x, border, lowest)
      return cropped(engine.runKernel('MaxPoolGrad', { dy, input, output: y }, attributes), x.shape, border)
    },
    averagePool: (x, steps) => engine.runKernel('AvgPool', { x }, pooling(steps).attributes),
    averagePoolGradient: (dy, input, steps) =>
      engine.runKernel('AvgPoolGrad', { dy, input }, pooling(steps).attributes),
  }
}

type Border = ReadonlyArray<readonly [begin: number, end: number]>

const borderOf = ({ pads: [top, bottom, left, right] }: Steps): Border => [
  [0, 0],
  [top, bottom],
  [left, right],
  [0, 0],
]

const sizeOf = ([height = 1, width = 1]: ReadonlyArray<number>): readonly [number, number] => [height, width]

/** Whether padding is what TensorFlow calls `same`: without stride, the size stays, an odd row of padding at the end. */
const keepsSize = ({ strides, pads }: Steps, [height, width]: readonly [number, number]): boolean => {
  const [top, bottom, left, right] = pads
  const isSplit = (begin: number, end: number, size: number): boolean =>
    begin === Math.floor((size - 1) / 2) && begin + end === size - 1
  return strides.every((stride) => stride === 1) && isSplit(top, bottom, height) && isSplit(left, right, width)
}

/** Smaller than every activation: what padding holds where the largest element is looked for. */
const lowest = -3.4e38
