/** Keras layers of products, activation functions, normalisations, shapes, and those that bring several inputs together. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../../../ir/dtype.ts'
import { Elu } from '../../../ir/ops/elu.ts'
import { LayerNormalization } from '../../../ir/ops/layer-normalization.ts'
import { Softmax } from '../../../ir/ops/softmax.ts'
import { ThresholdedRelu } from '../../../ir/ops/thresholded-relu.ts'
import { tensorOf } from '../../../ir/tensor.ts'
import { isStatic } from '../../../ir/type.ts'
import { activations, leakyRelu, prelu, softmax } from '../emit/activation.ts'
import { add, clip, map, max, min, mul, number } from '../emit/elementwise.ts'
import { batchNormalization, biasAdd, matMul } from '../emit/matrix.ts'
import { concat, flatten, gather, reshapeTo, tile, transpose, unsqueeze } from '../emit/shaping.ts'
import type { Builder } from '../builder.ts'
import type { Known, Operand } from '../operand.ts'
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

const dense: LayerLowering = onInput((call, x) => {
  const weights = weightsOf(call, call.config.bool('use_bias', true) ? ['kernel', 'bias'] : ['kernel'])
  if (E.isLeft(weights)) return weights
  const [kernel, bias] = weights.right
  if (kernel === undefined) return E.left('no kernel')
  const product = matMul(call.b, x, kernel)
  return activated(call, bias === undefined ? product : biasAdd(call.b, product, bias))
})

const relu: LayerLowering = onInput(({ b, config }, x) => {
  if (config.number('negative_slope', 0) !== 0 || config.number('threshold', 0) !== 0) {
    return E.left('negative_slope or threshold')
  }
  const positive = activations.get('relu')?.(b, x) ?? x
  return one(config.has('max_value') ? clip(b, x, 0, config.number('max_value', 0)) : positive)
})

const preluLayer: LayerLowering = onInput((call, x) => {
  const alpha = call.weight('alpha')
  return E.isLeft(alpha) ? alpha : one(prelu(call.b, x, alpha.right))
})

const normalization: LayerLowering = onRanked((call, x, rank) => {
  const { b, config } = call
  const axis = config.integer('axis', -1)
  const at = axis < 0 ? axis + rank : axis
  if (at !== rank - 1 && at !== 1) return E.left(`axis ${axis}`)
  const [scale, center] = [config.bool('scale', true), config.bool('center', true)]
  const names = [...(scale ? ['gamma'] : []), ...(center ? ['beta'] : []), 'moving_mean', 'moving_variance']
  const weights = weightsOf(call, names)
  if (E.isLeft(weights)) return weights
  const held = new Map(names.map((name, i) => [name, weights.right[i]]))
  const mean = held.get('moving_mean')
  const variance = held.get('moving_variance')
  if (mean === undefined || variance === undefined) return E.left('no statistics')
  const gamma = held.get('gamma') ?? filled(b, `${call.layer}/gamma`, mean, 1)
  const beta = held.get('beta') ?? filled(b, `${call.layer}/beta`, mean, 0)
  const channels = at === rank - 1 ? 'last' : 'first'
  return one(batchNormalization(b, x, [gamma, beta, mean, variance], config.number('epsilon', 1e-3), channels))
})

const filled = (b: Builder, name: string, like: Known, value: number): Operand => {
  const { shape } = like.tensor
  return b.constant(name, tensorOf('float32', shape, new Array<number>(shape[0] ?? 1).fill(value)))
}

const layerNormalization: LayerLowering = onRanked((call, x, rank) => {
  const { b, config } = call
  const axes = config.list('axis')
  const [axis = -1, ...others] = axes
  if (others.length > 0 || (axis < 0 ? axis + rank : axis) !== rank - 1) return E.left(`axes ${axes.join(', ')}`)
  const size = b.shapeOf(x)?.at(-1)
  if (!isStatic(size) || size > 2 ** 24) return E.left(`an axis of ${size ?? 'unknown size'}`)
  const names = [...(config.bool('scale', true) ? ['gamma'] : []), ...(config.bool('center', true) ? ['beta'] : [])]
  const weights = weightsOf(call, names)
  if (E.isLeft(weights)) return weights
  const held = new Map(names.map((name, i) => [name, weights.right[i]]))
  const ones = tensorOf('float32', [size], new Array<number>(size).fill(1))
  const scale = held.get('gamma') ?? b.constant(`${call.layer}/gamma`, ones)
  const shift = held.get('beta')
  const inputs = [b.last(x), b.last(scale), ...(shift === undefined ? [] : [b.last(shift)])]
  return one(b.computed(b.node(LayerNormalization, inputs, { axis: -1, epsilon: config.number('epsilon', 1e-3) })))
})

const flattening: LayerLowering = onRanked((call, x, rank) => {
  const isFirst = channelsOf(call) === 'first' && rank > 2
  const perm = [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1]
  return one(flatten(call.b, isFirst ? transpose(call.b, x, perm) : x))
})

const reshaping: LayerLowering = onInput(({ b, config }, x) =>
  one(reshapeTo(b, x, [0, ...config.list('target_shape')])),
)

const permutation: LayerLowering = onInput(({ b, config }, x) => one(transpose(b, x, [0, ...config.list('dims')])))

const repetition: LayerLowering = onInput(({ b, config }, x) =>
  one(tile(b, unsqueeze(b, x, [1]), [1, config.integer('n', 1), 1])),
)

const embedding: LayerLowering = onInput((call, x) => {
  if (call.config.bool('mask_zero', false)) return E.left('mask_zero')
  const table = call.weight('embeddings')
  return E.isLeft(table) ? table : one(gather(call.b, table.right, call.b.cast(x, 'int32'), 0))
})

/** Inputs with fewer axes get more of size 1 behind the batch. */
const leveled = (b: Builder, inputs: ReadonlyArray<Operand>): ReadonlyArray<Operand> => {
  const ranks = inputs.map((x) => b.rankOf(x) ?? 0)
  const most = Math.max(...ranks)
  return inputs.map((x, i) =>
    unsqueeze(
      b,
      x,
      Array.from({ length: most - (ranks[i] ?? most) }, (_, k) => k + 1),
    ),
  )
}

const merging =
  (
    merge: (b: Builder, x: Operand, y: Operand) => Operand,
    finish?: (b: Builder, x: Operand, count: number) => Operand,
  ): LayerLowering =>
  ({ b, inputs }) => {
    const [first, ...rest] = leveled(b, inputs)
    if (first === undefined) return E.left('no inputs')
    const merged = rest.reduce((x, y) => merge(b, x, y), first)
    return one(finish === undefined ? merged : finish(b, merged, inputs.length))
  }

const concatenation: LayerLowering = ({ b, config, inputs }) =>
  inputs.length === 0 ? E.left('no inputs') : one(concat(b, inputs, config.integer('axis', -1)))

const same: LayerLowering = onInput((_call, x) => one(x))

const softmaxLayer: LayerLowering = onInput(({ b, config }, x) =>
  one(softmax(b, Softmax, x, config.integer('axis', -1))),
)

const rescaling: LayerLowering = onInput(({ b, config }, x) => {
  const dtype = b.dtypeOf(x)
  const real = dtype !== undefined && !isFloat(dtype) ? b.cast(x, 'float32') : x
  const scaled = mul(b, real, number(b, real, config.number('scale', 1)))
  const offset = config.number('offset', 0)
  return one(offset === 0 ? scaled : add(b, scaled, number(b, real, offset)))
})

export const plainLayers: ReadonlyArray<readonly [string, LayerLowering]> = [
  ['Dense', dense],
  ['Activation', onInput((call: LayerCall, x) => activated(call, x))],
  ['ReLU', relu],
  ['LeakyReLU', onInput(({ b, config }, x) => one(leakyRelu(b, x, config.number('alpha', 0.3))))],
  ['ELU', onInput(({ b, config }, x) => one(map(b, Elu, x, { alpha: config.number('alpha', 1) })))],
  ['PReLU', preluLayer],
  [
    'ThresholdedReLU',
    onInput(({ b, config }, x) => one(map(b, ThresholdedRelu, x, { alpha: config.number('theta', 1) }))),
  ],
  ['Softmax', softmaxLayer],
  ['BatchNormalization', normalization],
  ['LayerNormalization', layerNormalization],
  ['Flatten', flattening],
  ['Reshape', reshaping],
  ['Permute', permutation],
  ['RepeatVector', repetition],
  ['Embedding', embedding],
  ['Add', merging(add)],
  ['Multiply', merging(mul)],
  ['Average', merging(add, (b, x, count) => mul(b, x, number(b, x, 1 / count)))],
  ['Maximum', merging(max)],
  ['Minimum', merging(min)],
  ['Concatenate', concatenation],
  ['Rescaling', rescaling],
  // These do something while a model is trained, and nothing else.
  ['Dropout', same],
  ['SpatialDropout1D', same],
  ['GaussianNoise', same],
  ['GaussianDropout', same],
  ['AlphaDropout', same],
  ['ActivityRegularization', same],
]
