import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { Flatten } from '../ir/ops/flatten.ts'
import { type ModelError, modelError } from './error.ts'
import { kaimingNormal, normal, zeros } from './initial.ts'
import { batchNormalization, classifier, convolution, linear, maxPool, pooled, relu } from './layers.ts'
import { buildNetwork, type ModelOptions, type Network } from './network.ts'

/** Channels of the convolutions of VGG-19 between two max pools. */
const stages: ReadonlyArray<ReadonlyArray<number>> = [
  [64, 64],
  [128, 128],
  [256, 256, 256, 256],
  [512, 512, 512, 512],
  [512, 512, 512, 512],
]

const features = 512

/** Width of the two hidden layers of the ImageNet head. */
const hidden = 4096

/** What the ImageNet head flattens: 7 x 7 positions. */
const side = 7

const linearInitials = { weight: normal(0.01), bias: zeros }

/**
 * VGG-19 with BatchNormalization (Simonyan and Zisserman, arXiv 1409.1556): sixteen 3x3 convolutions with bias. The CIFAR
 * head, that of GraNet and Chase, is the mean over the last stage's image and one linear layer; the ImageNet head is the
 * paper's two hidden layers of 4096 on 7x7 positions, without their dropout.
 *
 * Convolutions start Kaiming normal by fan out with bias 0, linear layers N(0, 0.01²) with bias 0, as torchvision's do.
 *
 * Errors: an image that is too small for four max pools; for the ImageNet head one that does not come out 7x7.
 */
export const vgg19 = (name: string, head: 'cifar' | 'imagenet', options: ModelOptions): E.Either<ModelError, Graph> => {
  const [channels, height, width] = options.shape
  const least = head === 'cifar' ? 16 : 32 * side
  const most = head === 'cifar' ? Infinity : 32 * (side + 1) - 1
  if (Math.min(height, width) < least || Math.max(height, width) > most) {
    const expected = head === 'cifar' ? `images of at least ${least}x${least}` : `images of ${least}x${least}`
    const help = head === 'cifar' ? 'Take another model or larger images.' : 'Resize the images, or take vgg19-bn.'
    return E.left(modelError(name, expected, `${height}x${width}`, help))
  }
  return E.right(
    buildNetwork(name, options, (network, input) => {
      const x = convolutions(network, input, channels, head === 'imagenet')
      return head === 'cifar'
        ? classifier(network, 'classifier', pooled(network, x), [features, options.classes], linearInitials)
        : imagenetHead(network, x, options.classes)
    }),
  )
}

/** The convolutions under the indices that they have in torchvision's `features`; a max pool between stages. */
const convolutions = (network: Network, input: ValueId, channels: number, poolsLast: boolean): ValueId => {
  let x = input
  let inputs = channels
  let index = 0
  for (const [s, stage] of stages.entries()) {
    for (const outputs of stage) {
      const initials = { weight: kaimingNormal, bias: zeros }
      x = convolution(network, `features.${index}`, x, { inputs, outputs, kernel: 3 }, initials)
      x = batchNormalization(network, `features.${index + 1}`, x, outputs)
      x = relu(network, `features.${index + 2}`, x)
      index += 3
      inputs = outputs
    }
    if (s + 1 < stages.length || poolsLast) {
      x = maxPool(network, `features.${index}`, x, { kernel: 2, stride: 2, padding: 0 })
      index += 1
    }
  }
  return x
}

const imagenetHead = (network: Network, x: ValueId, classes: number): ValueId => {
  const flat = network.node(Flatten, 'flatten', [x])
  const first = linear(network, 'classifier.0', flat, [features * side * side, hidden], linearInitials)
  const second = linear(network, 'classifier.3', relu(network, 'classifier.1', first), [hidden, hidden], linearInitials)
  return classifier(network, 'classifier.6', relu(network, 'classifier.4', second), [hidden, classes], linearInitials)
}
