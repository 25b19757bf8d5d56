/** Convolutions and pooling of images `[N, H, W, C]`, with their gradients. */
import type { BasicOps } from './device-ops.ts'
import type { Core, Tensor } from './backend.ts'

/** Steps and padding along height and width; no dilation. */
export interface Steps {
  readonly strides: readonly [height: number, width: number]
  readonly pads: readonly [top: number, bottom: number, left: number, right: number]
}

export interface PoolSteps extends Steps {
  readonly size: readonly [height: number, width: number]
}

type Shape4 = readonly [number, number, number, number]

/** Filters are `[height, width, inputs, outputs]`, depthwise ones `[height, width, inputs, multiplier]`. */
export interface ConvolutionOps {
  readonly conv: (x: Tensor, filter: Tensor, steps: Steps) => Tensor
  readonly convInputGradient: (dy: Tensor, filter: Tensor, inputShape: Shape4, steps: Steps) => Tensor
  readonly convFilterGradient: (x: Tensor, dy: Tensor, filterShape: Shape4, steps: Steps) => Tensor
  readonly depthwise: (x: Tensor, filter: Tensor, steps: Steps) => Tensor
  readonly depthwiseInputGradient: (dy: Tensor, filter: Tensor, inputShape: Shape4, steps: Steps) => Tensor
  readonly depthwiseFilterGradient: (x: Tensor, dy: Tensor, filterShape: Shape4, steps: Steps) => Tensor
  /** The largest of each window, padding left out. */
  readonly maxPool: (x: Tensor, steps: PoolSteps) => Tensor
  readonly maxPoolGradient: (dy: Tensor, x: Tensor, y: Tensor, steps: PoolSteps) => Tensor
  /** The mean of each window; without padding. */
  readonly averagePool: (x: Tensor, steps: PoolSteps) => Tensor
  readonly averagePoolGradient: (dy: Tensor, x: Tensor, steps: PoolSteps) => Tensor
}

export const convolutionOps = (core: Core, ops: BasicOps, backend: string): ConvolutionOps => {
  const engine = core.engine()
  // TensorFlow's kernels know no explicit padding: images are padded first and their gradients cropped.
  const native = backend !== 'tensorflow'
  const attributes = ({ strides, pads }: Steps) => {
    const [top, bottom, left, right] = pads
    const pad = [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ]
    const isPadded = pads.some((p) => p !== 0)
    return {
      strides: [...strides],
      pad: native && isPadded ? pad : 'valid',
      dataFormat: 'NHWC',
      dilations: [1, 1],
      dimRoundingMode: isPadded ? 'floor' : '',
    }
  }
  const isPadded = ({ pads }: Steps): boolean => !native && pads.some((p) => p !== 0)
  const padsOf = ({ pads: [top, bottom, left, right] }: Steps) =>
    [
      [0, 0],
      [top, bottom],
      [left, right],
      [0, 0],
    ] as const
  const padded = (x: Tensor, steps: Steps, value = 0): Tensor =>
    isPadded(steps) ? ops.pad(x, padsOf(steps), value) : x
  const paddedShape = (shape: Shape4, steps: Steps): ReadonlyArray<number> =>
    isPadded(steps) ? shape.map((size, a) => size + (padsOf(steps)[a]?.[0] ?? 0) + (padsOf(steps)[a]?.[1] ?? 0)) : shape
  const cropped = (dx: Tensor, shape: ReadonlyArray<number>, steps: Steps): Tensor =>
    isPadded(steps)
      ? ops.slice(
          dx,
          padsOf(steps).map(([begin]) => begin),
          shape,
        )
      : dx
  const pooling = (steps: PoolSteps) => ({ ...attributes(steps), filterSize: [...steps.size] })
  return {
    conv: (x, filter, steps) => engine.runKernel('Conv2D', { x: padded(x, steps), filter }, attributes(steps)),
    convInputGradient: (dy, filter, inputShape, steps) => {
      const shape = [...paddedShape(inputShape, steps)]
      const dx = engine.runKernel<Tensor>(
        'Conv2DBackpropInput',
        { dy, filter },
        { ...attributes(steps), inputShape: shape },
      )
      return cropped(dx, inputShape, steps)
    },
    convFilterGradient: (x, dy, filterShape, steps) =>
      engine.runKernel(
        'Conv2DBackpropFilter',
        { x: padded(x, steps), dy },
        { ...attributes(steps), filterShape: [...filterShape] },
      ),
    depthwise: (x, filter, steps) =>
      engine.runKernel('DepthwiseConv2dNative', { x: padded(x, steps), filter }, attributes(steps)),
    depthwiseInputGradient: (dy, filter, inputShape, steps) => {
      const shape = [...paddedShape(inputShape, steps)]
      const dx = engine.runKernel<Tensor>(
        'DepthwiseConv2dNativeBackpropInput',
        { dy, filter },
        { ...attributes(steps), inputShape: shape },
      )
      return cropped(dx, inputShape, steps)
    },
    depthwiseFilterGradient: (x, dy, filterShape, steps) =>
      engine.runKernel(
        'DepthwiseConv2dNativeBackpropFilter',
        { x: padded(x, steps), dy },
        { ...attributes(steps), filterShape: [...filterShape] },
      ),
    maxPool: (x, steps) => engine.runKernel('MaxPool', { x: padded(x, steps, lowest) }, pooling(steps)),
    maxPoolGradient: (dy, x, y, steps) => {
      const input = padded(x, steps, lowest)
      return cropped(engine.runKernel<Tensor>('MaxPoolGrad', { dy, input, output: y }, pooling(steps)), x.shape, steps)
    },
    averagePool: (x, steps) => engine.runKernel('AvgPool', { x }, pooling(steps)),
    averagePoolGradient: (dy, input, steps) => engine.runKernel('AvgPoolGrad', { dy, input }, pooling(steps)),
  }
}

/** Smaller than every activation: what padding holds where the largest element is looked for. */
const lowest = -3.4e38
