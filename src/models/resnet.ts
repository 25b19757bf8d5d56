import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import {
  batchNormalization,
  classifier,
  type ConvolutionShape,
  convolution,
  maxPool,
  pooled,
  relu,
  uniformLinear,
} from './layers.ts'
import { buildNetwork, type ModelOptions, type Network } from './network.ts'

export interface ResNetShape {
  /** Two 3x3 convolutions, or 1x1, 3x3 and 1x1 with four times as many outputs. */
  readonly block: 'basic' | 'bottleneck'
  /** Blocks in each stage. All stages but the first halve the image. */
  readonly blocks: ReadonlyArray<number>
  /** Channels within the blocks of each stage; those of the first are also the stem's. */
  readonly widths: ReadonlyArray<number>
  /** One 3x3 convolution, or 7x7 with stride 2 and a max pool with stride 2. */
  readonly stem: 'cifar' | 'imagenet'
}

/**
 * The three stages of ResNet-20, 32, 44, 56, 110 for images of 32x32: `depth = 6 n + 2` (He et al. 2016, section 4.2), their
 * channels times `width`, rounded, at least one.
 */
export const cifarStages = (depth: number, width = 1): ResNetShape => {
  const blocks = (depth - 2) / 6
  const widths = [16, 32, 64].map((channels) => Math.max(1, Math.round(channels * width)))
  return { block: 'basic', blocks: [blocks, blocks, blocks], widths, stem: 'cifar' }
}

/**
 * ResNet (He et al., arXiv 1512.03385). Where a block changes the size or the number of channels its shortcut is a 1x1
 * convolution with BatchNormalization (option B; the paper's CIFAR nets pad with zeros, which gives them a hundredth fewer
 * weights). Bottlenecks stride in the 3x3 convolution, as torchvision's do (version 1.5).
 *
 * Convolutions start Kaiming normal by fan out, the classifier as PyTorch's default; both are torchvision's choice.
 */
export const resnet = (name: string, { block, blocks, widths, stem }: ResNetShape, options: ModelOptions): Graph =>
  buildNetwork(name, options, (network, input) => {
    let channels = widths[0] ?? 0
    let x = stemOf(network, stem, input, options.shape[0], channels)
    for (const [stage, count] of blocks.entries()) {
      const width = widths[stage] ?? 0
      for (let i = 0; i < count; i++) {
        const stride = stage > 0 && i === 0 ? 2 : 1
        const outputs = block === 'basic' ? width : 4 * width
        x = residual(network, `layer${stage + 1}.${i}`, x, block, { inputs: channels, width, outputs, stride })
        channels = outputs
      }
    }
    return classifier(network, 'fc', pooled(network, x), [channels, options.classes], uniformLinear(channels))
  })

const stemOf = (
  network: Network,
  stem: ResNetShape['stem'],
  input: ValueId,
  inputs: number,
  outputs: number,
): ValueId => {
  const small = stem === 'cifar'
  const y = convolution(network, 'conv1', input, { inputs, outputs, kernel: small ? 3 : 7, stride: small ? 1 : 2 })
  const x = relu(network, 'relu', batchNormalization(network, 'bn1', y, outputs))
  return small ? x : maxPool(network, 'maxpool', x, { kernel: 3, stride: 2, padding: 1 })
}

interface BlockShape {
  readonly inputs: number
  readonly width: number
  readonly outputs: number
  readonly stride: number
}

/** `relu(branch(x) + shortcut(x))`. */
const residual = (
  network: Network,
  name: string,
  x: ValueId,
  block: ResNetShape['block'],
  { inputs, width, outputs, stride }: BlockShape,
): ValueId => {
  const convolutions: ReadonlyArray<ConvolutionShape> =
    block === 'basic'
      ? [
          { inputs, outputs: width, kernel: 3, stride },
          { inputs: width, outputs, kernel: 3 },
        ]
      : [
          { inputs, outputs: width, kernel: 1 },
          { inputs: width, outputs: width, kernel: 3, stride },
          { inputs: width, outputs, kernel: 1 },
        ]
  let y = x
  for (const [i, shape] of convolutions.entries()) {
    y = convolution(network, `${name}.conv${i + 1}`, y, shape)
    y = batchNormalization(network, `${name}.bn${i + 1}`, y, shape.outputs)
    if (i + 1 < convolutions.length) y = relu(network, `${name}.relu${i + 1}`, y)
  }
  const sum = network.node(Add, `${name}.add`, [y, shortcut(network, name, x, { inputs, outputs, stride })])
  return relu(network, `${name}.relu${convolutions.length}`, sum)
}

const shortcut = (
  network: Network,
  name: string,
  x: ValueId,
  { inputs, outputs, stride }: Omit<BlockShape, 'width'>,
): ValueId => {
  if (inputs === outputs && stride === 1) return x
  const y = convolution(network, `${name}.downsample.0`, x, { inputs, outputs, kernel: 1, stride })
  return batchNormalization(network, `${name}.downsample.1`, y, outputs)
}
