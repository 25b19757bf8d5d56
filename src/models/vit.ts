import * as E from 'fp-ts/lib/Either.js'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { Div } from '../ir/ops/div.ts'
import { Erf } from '../ir/ops/erf.ts'
import { LayerNormalization } from '../ir/ops/layer-normalization.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { Mul } from '../ir/ops/mul.ts'
import { ReduceMean } from '../ir/ops/reduce-mean.ts'
import { Reshape } from '../ir/ops/reshape.ts'
import { Softmax } from '../ir/ops/softmax.ts'
import { Transpose } from '../ir/ops/transpose.ts'
import { int64s, tensorOf } from '../ir/tensor.ts'
import { type ModelError, modelError } from './error.ts'
import { ones, truncatedNormal, zeros } from './initial.ts'
import { classifier, convolution, tokenLinear, uniformLinear } from './layers.ts'
import { buildNetwork, type ModelOptions, type Network } from './network.ts'

export interface ViTShape {
  /** Height and width of the squares that the image is cut into. */
  readonly patch: number
  /** Length of a token. */
  readonly width: number
  readonly depth: number
  readonly heads: number
  /** Width of the hidden layer of each block's MLP. */
  readonly hidden: number
}

const initials = { weight: truncatedNormal(0.02), bias: zeros }

/**
 * Vision transformer (Dosovitskiy et al., arXiv 2010.11929): LayerNormalization before attention and before the MLP, a
 * learned position embedding, GELU by the error function. The logits are read from the mean of all tokens instead of a
 * class token (Beyer et al., arXiv 2205.01580). Queries, keys and values have a weight each, so that each can be masked.
 *
 * Initial values are DeiT's (Touvron et al., arXiv 2012.12877): linear weights and the position embedding truncated normal
 * with deviation 0.02, biases 0, the patch projection as PyTorch's default.
 *
 * Errors: an image that does not divide into patches.
 */
export const vit = (name: string, shape: ViTShape, options: ModelOptions): E.Either<ModelError, Graph> => {
  const [channels, height, columns] = options.shape
  const { patch, width, depth } = shape
  if (height % patch !== 0 || columns % patch !== 0) {
    const found = `${height}x${columns}`
    return E.left(modelError(name, `images whose sides are multiples of ${patch}`, found, 'Resize the images.'))
  }
  const tokens = (height / patch) * (columns / patch)
  return E.right(
    buildNetwork(name, options, (network, input) => {
      const projection = { inputs: channels, outputs: width, kernel: patch, stride: patch, padding: 0 }
      const squares = convolution(network, 'patch_embed', input, projection, uniformLinear(channels * patch * patch))
      const flat = reshaped(network, 'patch_embed.flatten', squares, [0, width, tokens])
      const sequence = network.node(Transpose, 'patch_embed.transpose', [flat], { perm: [0, 2, 1] })
      const position = network.parameter('pos_embed.weight', [1, tokens, width], initials.weight)
      let x = network.node(Add, 'pos_embed', [sequence, position])
      for (let i = 0; i < depth; i++) {
        const block = `blocks.${i}`
        const attended = attention(
          network,
          `${block}.attn`,
          normalised(network, `${block}.norm1`, x, width),
          shape,
          tokens,
        )
        x = network.node(Add, `${block}.add1`, [x, attended])
        const transformed = perceptron(network, `${block}.mlp`, normalised(network, `${block}.norm2`, x, width), shape)
        x = network.node(Add, `${block}.add2`, [x, transformed])
      }
      const last = normalised(network, 'norm', x, width)
      const mean = network.node(ReduceMean, 'pool', [last], { axes: [1], keepdims: 0 })
      return classifier(network, 'head', mean, [width, options.classes], initials)
    }),
  )
}

const reshaped = (network: Network, name: string, x: ValueId, target: ReadonlyArray<number>): ValueId =>
  network.node(Reshape, name, [x, network.constant(`${name}.shape`, () => int64s(target))])

const scalar = (network: Network, name: string, value: number): ValueId =>
  network.constant(name, () => tensorOf('float32', [], [value]))

const normalised = (network: Network, name: string, x: ValueId, width: number): ValueId => {
  const scale = network.parameter(`${name}.weight`, [width], ones)
  const shift = network.parameter(`${name}.bias`, [width], zeros)
  return network.node(LayerNormalization, name, [x, scale, shift], { epsilon: Math.fround(1e-6) })
}

/** `softmax(q · kᵀ / √d) · v` for every head, then a projection. Heads lie one after the other along the width. */
const attention = (network: Network, name: string, x: ValueId, { width, heads }: ViTShape, tokens: number): ValueId => {
  const size = width / heads
  const perHead = (role: string, perm: ReadonlyArray<number>): ValueId => {
    const flat = tokenLinear(network, `${name}.${role}`, x, [width, width], initials)
    const split = reshaped(network, `${name}.${role}.split`, flat, [0, tokens, heads, size])
    return network.node(Transpose, `${name}.${role}.heads`, [split], { perm })
  }
  const query = perHead('q', [0, 2, 1, 3])
  const key = perHead('k', [0, 2, 3, 1])
  const value = perHead('v', [0, 2, 1, 3])
  const scaled = network.node(Mul, `${name}.scale`, [query, scalar(network, `${name}.factor`, 1 / Math.sqrt(size))])
  const weights = network.node(Softmax, `${name}.softmax`, [network.node(MatMul, `${name}.scores`, [scaled, key])], {
    axis: -1,
  })
  const mixed = network.node(MatMul, `${name}.mix`, [weights, value])
  const together = network.node(Transpose, `${name}.transpose`, [mixed], { perm: [0, 2, 1, 3] })
  const flat = reshaped(network, `${name}.merge`, together, [0, tokens, width])
  return tokenLinear(network, `${name}.proj`, flat, [width, width], initials)
}

const perceptron = (network: Network, name: string, x: ValueId, { width, hidden }: ViTShape): ValueId => {
  const inner = tokenLinear(network, `${name}.fc1`, x, [width, hidden], initials)
  return tokenLinear(network, `${name}.fc2`, gelu(network, `${name}.gelu`, inner), [hidden, width], initials)
}

/** `x · (1 + erf(x / √2)) / 2`: opset 17 has no GELU of its own. */
const gelu = (network: Network, name: string, x: ValueId): ValueId => {
  const scaled = network.node(Div, `${name}.div`, [x, scalar(network, 'gelu.sqrt2', Math.SQRT2)])
  const erf = network.node(Erf, `${name}.erf`, [scaled])
  const sum = network.node(Add, `${name}.add`, [erf, scalar(network, 'gelu.one', 1)])
  const product = network.node(Mul, `${name}.mul`, [x, sum])
  return network.node(Mul, name, [product, scalar(network, 'gelu.half', 0.5)])
}
