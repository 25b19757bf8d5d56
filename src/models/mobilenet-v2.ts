import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Clip } from '../ir/ops/clip.ts'
import { tensorOf } from '../ir/tensor.ts'
import { normal, zeros } from './initial.ts'
import { batchNormalization, classifier, type ConvolutionShape, convolution, pooled } from './layers.ts'
import { buildNetwork, type ModelOptions, type Network } from './network.ts'

/** Table 2 of the paper: expansion factor, channels, blocks, stride of the first block. */
const stages: ReadonlyArray<readonly [expansion: number, channels: number, blocks: number, stride: number]> = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
]

/** The multiple of 8 nearest to `channels`, at least 8, and not more than a tenth below. */
const roundChannels = (channels: number): number => {
  const rounded = Math.max(8, Math.floor((channels + 4) / 8) * 8)
  return rounded < 0.9 * channels ? rounded + 8 : rounded
}

/**
 * MobileNetV2 (Sandler et al., arXiv 1801.04381): inverted residuals of a 1x1 expansion, a 3x3 depthwise convolution and a
 * 1x1 projection without activation. `width` multiplies all channels, the last 1280 only where it is above 1. For CIFAR
 * the stem and the first stage that would halve the image do not.
 *
 * Initial values are torchvision's: convolutions Kaiming normal by fan out, the classifier N(0, 0.01²) with bias 0. The
 * dropout before the classifier is left out.
 */
export const mobilenetV2 = (name: string, width: number, stem: 'cifar' | 'imagenet', options: ModelOptions): Graph =>
  buildNetwork(name, options, (network, input) => {
    const halving = stem === 'imagenet' ? 2 : 1
    let channels = roundChannels(32 * width)
    let x = activated(network, 'features.0', input, {
      inputs: options.shape[0],
      outputs: channels,
      kernel: 3,
      stride: halving,
    })
    let index = 1
    for (const [s, [expansion, base, blocks, first]] of stages.entries()) {
      const outputs = roundChannels(base * width)
      for (let i = 0; i < blocks; i++) {
        const stride = i > 0 ? 1 : s === 1 ? halving : first
        x = invertedResidual(network, `features.${index}`, x, { inputs: channels, outputs, expansion, stride })
        channels = outputs
        index += 1
      }
    }
    const last = roundChannels(1280 * Math.max(1, width))
    x = activated(network, `features.${index}`, x, { inputs: channels, outputs: last, kernel: 1 })
    const initials = { weight: normal(0.01), bias: zeros }
    return classifier(network, 'classifier.1', pooled(network, x), [last, options.classes], initials)
  })

interface InvertedResidual {
  readonly inputs: number
  readonly outputs: number
  readonly expansion: number
  readonly stride: number
}

const invertedResidual = (
  network: Network,
  name: string,
  x: ValueId,
  { inputs, outputs, expansion, stride }: InvertedResidual,
): ValueId => {
  const hidden = expansion * inputs
  let y = x
  let index = 0
  if (expansion > 1) {
    y = activated(network, `${name}.conv.0`, y, { inputs, outputs: hidden, kernel: 1 })
    index = 1
  }
  y = activated(network, `${name}.conv.${index}`, y, {
    inputs: hidden,
    outputs: hidden,
    kernel: 3,
    stride,
    groups: hidden,
  })
  y = convolution(network, `${name}.conv.${index + 1}`, y, { inputs: hidden, outputs, kernel: 1 })
  y = batchNormalization(network, `${name}.conv.${index + 2}`, y, outputs)
  return stride === 1 && inputs === outputs ? network.node(Add, `${name}.add`, [x, y]) : y
}

/** Convolution, BatchNormalization and ReLU6. */
const activated = (network: Network, name: string, x: ValueId, shape: ConvolutionShape): ValueId => {
  const y = convolution(network, `${name}.0`, x, shape)
  const bounds = [0, 6].map((bound) => network.constant(`relu6.${bound}`, () => tensorOf('float32', [], [bound])))
  return network.node(Clip, `${name}.2`, [batchNormalization(network, `${name}.1`, y, shape.outputs), ...bounds])
}
