/** Every Keras layer that is read, as TensorFlow.js saves and computes it, and as ONNX Runtime computes what it became. */
import * as tf from '@tensorflow/tfjs-core'
import * as tfl from '@tensorflow/tfjs-layers'
import * as E from 'fp-ts/lib/Either.js'
import { beforeAll, describe, expect, test } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import { layers as known } from '../../../src/read/tfjs/layers/layers.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { compare, differenceOf, feedsFor, quiet, read, runOnnx, save, type Saved } from './tensorflow-js.ts'

const { layers } = tfl

beforeAll(quiet)

/** Single layers by name, with the shape of a sample that they are given. */
const single: ReadonlyArray<readonly [string, number[], () => tfl.layers.Layer]> = [
  ['Dense', [5], () => layers.dense({ units: 4, activation: 'relu' })],
  ['Dense without bias on sequences', [3, 5], () => layers.dense({ units: 4, useBias: false, activation: 'softmax' })],
  ['Conv1D', [9, 3], () => layers.conv1d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' })],
  ['Conv2D', [7, 8, 3], () => layers.conv2d({ filters: 4, kernelSize: [3, 2], activation: 'tanh' })],
  ['Conv2D same, strided', [7, 8, 3], () => layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same' })],
  ['Conv2D dilated', [9, 9, 2], () => layers.conv2d({ filters: 3, kernelSize: 3, dilationRate: 2, padding: 'same' })],
  ['Conv3D', [4, 5, 6, 2], () => layers.conv3d({ filters: 3, kernelSize: 2, strides: 2 })],
  ['DepthwiseConv2D', [6, 6, 3], () => layers.depthwiseConv2d({ kernelSize: 3, depthMultiplier: 2, padding: 'same' })],
  ['SeparableConv2D', [7, 7, 3], () => layers.separableConv2d({ filters: 5, kernelSize: 3 })],
  ['Conv2DTranspose', [4, 5, 3], () => layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2 })],
  [
    'Conv2DTranspose same',
    [4, 5, 3],
    () => layers.conv2dTranspose({ filters: 2, kernelSize: 3, strides: 2, padding: 'same' }),
  ],
  [
    'Conv2DTranspose of a kernel below the stride',
    [4, 5, 3],
    () => layers.conv2dTranspose({ filters: 2, kernelSize: 2, strides: 3, padding: 'same' }),
  ],
  ['MaxPooling1D', [7, 3], () => layers.maxPooling1d({ poolSize: 3, strides: 2, padding: 'same' })],
  ['MaxPooling2D', [7, 7, 3], () => layers.maxPooling2d({ poolSize: [2, 3], padding: 'same' })],
  ['MaxPooling3D', [4, 4, 4, 2], () => layers.maxPooling3d({ poolSize: 2 })],
  ['AveragePooling1D', [7, 3], () => layers.averagePooling1d({ poolSize: 2 })],
  ['AveragePooling2D', [7, 7, 3], () => layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })],
  ['AveragePooling3D', [4, 4, 4, 2], () => layers.averagePooling3d({ poolSize: 2 })],
  ['GlobalAveragePooling1D', [7, 3], () => layers.globalAveragePooling1d({})],
  ['GlobalAveragePooling2D', [5, 5, 3], () => layers.globalAveragePooling2d({})],
  ['GlobalMaxPooling1D', [7, 3], () => layers.globalMaxPooling1d({})],
  ['GlobalMaxPooling2D', [5, 5, 3], () => layers.globalMaxPooling2d({})],
  [
    'ZeroPadding2D',
    [3, 4, 2],
    () =>
      layers.zeroPadding2d({
        padding: [
          [1, 2],
          [0, 3],
        ],
      }),
  ],
  [
    'Cropping2D',
    [6, 7, 2],
    () =>
      layers.cropping2D({
        cropping: [
          [1, 2],
          [0, 3],
        ],
      }),
  ],
  ['UpSampling2D', [3, 4, 2], () => layers.upSampling2d({ size: [2, 3] })],
  ['UpSampling2D bilinear', [3, 4, 2], () => layers.upSampling2d({ size: [2, 3], interpolation: 'bilinear' })],
  ['BatchNormalization', [4, 4, 3], () => layers.batchNormalization({})],
  ['BatchNormalization of rows', [5], () => layers.batchNormalization({ scale: false })],
  ['LayerNormalization', [4, 6], () => layers.layerNormalization({})],
  ['LayerNormalization without weights', [4, 6], () => layers.layerNormalization({ center: false, scale: false })],
  ['ReLU', [6], () => layers.reLU({ maxValue: 0.4 })],
  ['LeakyReLU', [6], () => layers.leakyReLU({ alpha: 0.1 })],
  ['ELU', [6], () => layers.elu({})],
  ['PReLU', [4, 4, 3], () => layers.prelu({ alphaInitializer: 'randomNormal', sharedAxes: [1, 2] })],
  ['ThresholdedReLU', [6], () => layers.thresholdedReLU({ theta: 0.3 })],
  ['Softmax', [6], () => layers.softmax({})],
  ['Flatten', [2, 3, 4], () => layers.flatten()],
  ['Flatten with channels first', [2, 3, 4], () => layers.flatten({ dataFormat: 'channelsFirst' })],
  ['Reshape', [2, 6], () => layers.reshape({ targetShape: [3, 2, 2] })],
  ['Permute', [2, 3, 4], () => layers.permute({ dims: [3, 1, 2] })],
  ['RepeatVector', [5], () => layers.repeatVector({ n: 3 })],
  ['Embedding', [5], () => layers.embedding({ inputDim: 5, outputDim: 3 })],
  [
    'SimpleRNN',
    [5, 3],
    () => layers.simpleRNN({ recurrentInitializer: 'randomNormal', units: 4, biasInitializer: 'randomNormal' }),
  ],
  [
    'LSTM',
    [5, 3],
    () =>
      layers.lstm({
        recurrentInitializer: 'randomNormal',
        units: 4,
        biasInitializer: 'randomNormal',
        returnSequences: true,
      }),
  ],
  [
    'LSTM backwards',
    [5, 3],
    () =>
      layers.lstm({
        recurrentInitializer: 'randomNormal',
        units: 4,
        recurrentActivation: 'sigmoid',
        goBackwards: true,
      }),
  ],
  [
    'GRU',
    [5, 3],
    () =>
      layers.gru({
        recurrentInitializer: 'randomNormal',
        units: 4,
        biasInitializer: 'randomNormal',
        returnSequences: true,
      }),
  ],
  [
    'GRU without bias',
    [5, 3],
    () => layers.gru({ recurrentInitializer: 'randomNormal', units: 4, useBias: false, activation: 'softsign' }),
  ],
  ['Dropout', [5], () => layers.dropout({ rate: 0.5 })],
  ['SpatialDropout1D', [5, 3], () => layers.spatialDropout1d({ rate: 0.5 })],
  ['GaussianNoise', [5], () => layers.gaussianNoise({ stddev: 1 })],
  ['GaussianDropout', [5], () => layers.gaussianDropout({ rate: 0.5 })],
  ['AlphaDropout', [5], () => layers.alphaDropout({ rate: 0.5 })],
  ['Rescaling', [4, 4, 3], () => layers.rescaling({ scale: 0.25, offset: -1 })],
  [
    'TimeDistributed convolution',
    [3, 6, 6, 2],
    () => layers.timeDistributed({ layer: layers.conv2d({ filters: 4, kernelSize: 3 }) }),
  ],
  ['TimeDistributed product', [3, 4], () => layers.timeDistributed({ layer: layers.dense({ units: 4 }) })],
  ...(['concat', 'sum', 'ave', 'mul'] as const).map(
    (mergeMode): readonly [string, number[], () => tfl.layers.Layer] => [
      `Bidirectional ${mergeMode}`,
      [5, 3],
      () =>
        layers.bidirectional({
          layer:
            mergeMode === 'sum'
              ? gru()
              : layers.lstm({ recurrentInitializer: 'randomNormal', units: 4, returnSequences: true }),
          mergeMode,
        }),
    ],
  ),
]

const gru = (): tfl.RNN => {
  const layer = layers.gru({ recurrentInitializer: 'randomNormal', units: 4, biasInitializer: 'randomNormal' })
  if (!(layer instanceof tfl.RNN)) throw new Error('a GRU that is no RNN')
  return layer
}

const activations = [
  'elu',
  'hardSigmoid',
  'linear',
  'relu',
  'relu6',
  'selu',
  'sigmoid',
  'softmax',
  'softplus',
  'softsign',
  'tanh',
  'swish',
  'mish',
  'gelu',
] as const

/** Statistics that are not 0 and 1, as training leaves them. */
const trained = (model: tfl.LayersModel): void => {
  for (const layer of model.layers) {
    const weights = layer.getWeights()
    layer.setWeights(weights.map((weight) => tf.add(weight, tf.randomUniform(weight.shape, 0.1, 0.5, 'float32', 5))))
  }
}

/** What TensorFlow.js rounds otherwise: kernels of other orders of sums, and approximations of functions. */
const tolerance = 2e-6

describe('a layer alone', () => {
  test.each(single)('%s', async (_name, shape, make) => {
    const input = tfl.input({ shape })
    const output = make().apply(input)
    if (!(output instanceof tfl.SymbolicTensor)) throw new Error('no output')
    const model = tfl.model({ inputs: input, outputs: output })
    trained(model)
    const { difference } = await compare(await save(model), 2)
    expect(difference).toBeLessThan(tolerance)
  })

  test('BatchNormalization of axis 1 is that of the last axis of the transposed value', async () => {
    // TensorFlow.js's own kernels for the CPU get other axes than the last wrong.
    const shape = [3, 4, 5]
    const own = tfl.sequential({ layers: [layers.batchNormalization({ axis: 1, center: false, inputShape: shape })] })
    const moved = tfl.sequential({
      layers: [
        layers.permute({ dims: [2, 3, 1], inputShape: shape }),
        layers.batchNormalization({ center: false }),
        layers.permute({ dims: [3, 1, 2] }),
      ],
    })
    trained(own)
    moved.setWeights(own.getWeights())
    const [first, second] = [orThrow(read(await save(own))), orThrow(read(await save(moved)))]
    const [one, two] = [await runOnnx(first, feedsFor(first)), await runOnnx(second, feedsFor(second))]
    expect(differenceOf(one, two)).toBeLessThan(tolerance)
  })

  test.each(activations)('activation %s', async (activation) => {
    const model = tfl.sequential({ layers: [layers.activation({ activation, inputShape: [3, 7] })] })
    const { difference } = await compare(await save(model), 2)
    expect(difference).toBeLessThan(tolerance)
  })

  test('every class of layers that is read is tried', () => {
    const tried = single.map(([, , make]) => make().getClassName())
    const elsewhere = ['Activation', 'Add', 'Multiply', 'Average', 'Maximum', 'Minimum', 'Concatenate']
    // TensorFlow.js has no such layers; models that Keras wrote may.
    const absent = ['ActivityRegularization', 'Conv3DTranspose']
    expect(new Set([...tried, ...elsewhere, ...absent])).toEqual(new Set(known.keys()))
  })
})

const symbolic = (x: unknown): tfl.SymbolicTensor => {
  if (!(x instanceof tfl.SymbolicTensor)) throw new Error('no symbolic tensor')
  return x
}

describe('models', () => {
  test.each(['add', 'multiply', 'average', 'maximum', 'minimum', 'concatenate'] as const)(
    'two branches, %s',
    async (merge) => {
      const input = tfl.input({ shape: [6, 6, 3] })
      const branch = (kernelSize: number): tfl.SymbolicTensor =>
        symbolic(layers.conv2d({ filters: 4, kernelSize, padding: 'same' }).apply(input))
      const output = symbolic(layers[merge]().apply([branch(1), branch(3)]))
      const { difference, graph } = await compare(await save(tfl.model({ inputs: input, outputs: output })))
      expect(difference).toBeLessThan(tolerance)
      // One for the input and one for the output of the model.
      expect(graph.nodes.filter((node) => node.op === 'Transpose')).toHaveLength(2)
    },
  )

  test('operands with fewer axes are widened behind the batch', async () => {
    const input = tfl.input({ shape: [6, 6, 3] })
    const image = symbolic(layers.conv2d({ filters: 4, kernelSize: 3 }).apply(input))
    const gate = symbolic(layers.dense({ units: 4 }).apply(layers.globalAveragePooling2d({}).apply(image)))
    const output = symbolic(layers.multiply().apply([image, gate]))
    expect((await compare(await save(tfl.model({ inputs: input, outputs: output })))).difference).toBeLessThan(
      tolerance,
    )
  })

  test('a model in a model, called twice, of two inputs and outputs', async () => {
    const inner = tfl.sequential({
      name: 'inner',
      layers: [layers.dense({ units: 4, inputShape: [3], activation: 'relu' }), layers.dense({ units: 2 })],
    })
    const [a, b] = [tfl.input({ shape: [3], name: 'left' }), tfl.input({ shape: [3], name: 'right' })]
    const [x, y] = [symbolic(inner.apply(a)), symbolic(inner.apply(b))]
    const sum = symbolic(layers.add({ name: 'sum' }).apply([x, y]))
    const last = symbolic(layers.dense({ units: 2, name: 'last' }).apply(sum))
    const { difference, graph } = await compare(await save(tfl.model({ inputs: [a, b], outputs: [last, sum] })), 2)
    expect(difference).toBeLessThan(tolerance)
    expect(graph.inputs.map(({ name }) => name)).toEqual(['left', 'right'])
    expect(graph.outputs.map(({ name }) => name)).toEqual(['last', 'sum'])
  })

  test('a model in front of a sequential one, and an embedding in front of a tagger', async () => {
    const inner = tfl.sequential({ layers: [layers.dense({ units: 4, inputShape: [3], name: 'first' })] })
    const outer = tfl.sequential({ layers: [inner, layers.dense({ units: 2 })] })
    const { difference, graph } = await compare(await save(outer), 2)
    expect(difference).toBeLessThan(tolerance)
    expect(graph.inputs.map(({ name }) => name)).toEqual(['first_input'])
    const tagger = tfl.sequential({
      layers: [
        layers.embedding({ inputDim: 5, outputDim: 4 }),
        layers.bidirectional({ layer: gru(), mergeMode: 'concat' }),
        layers.dense({ units: 3, activation: 'softmax' }),
      ],
    })
    expect((await compare(await save(tagger), 4)).difference).toBeLessThan(tolerance)
  })

  test('an image of unknown size', async () => {
    const model = tfl.sequential({
      layers: [
        layers.conv2d({ filters: 4, kernelSize: 3, strides: 2, padding: 'same', inputShape: [null, null, 3] }),
        layers.upSampling2d({ size: [2, 2] }),
        layers.maxPooling2d({ poolSize: 3, strides: 2, padding: 'same' }),
        layers.globalAveragePooling2d({}),
      ],
    })
    expect((await compare(await save(model), 7)).difference).toBeLessThan(tolerance)
  })
})

describe('weights', () => {
  const dense = (): Promise<Saved> =>
    save(tfl.sequential({ layers: [layers.dense({ units: 4, inputShape: [3], name: 'dense' })] }))
  const withSpecs = (saved: Saved, change: (spec: Record<string, unknown>) => object, bytes: Uint8Array): Saved => {
    const manifest: unknown = saved.json['weightsManifest']
    const [group]: ReadonlyArray<Record<string, unknown>> = Array.isArray(manifest) ? manifest : []
    const list: ReadonlyArray<Record<string, unknown>> = Array.isArray(group?.['weights']) ? group['weights'] : []
    return {
      json: {
        ...saved.json,
        weightsManifest: [{ ...group, weights: list.map((spec) => ({ ...spec, ...change(spec) })) }],
      },
      weights: bytes,
    }
  }

  test.each([
    ['uint8', { dtype: 'uint8', min: -0.7, scale: 0.0123 }, Uint8Array.from({ length: 16 }, (_, i) => 17 * i)],
    [
      'uint16',
      { dtype: 'uint16', min: -0.7, scale: 0.000123 },
      new Uint8Array(Uint16Array.from({ length: 16 }, (_, i) => 4111 * i).buffer),
    ],
    [
      'float16',
      { dtype: 'float16' },
      new Uint8Array(Uint16Array.from({ length: 16 }, (_, i) => 0x3000 + 371 * i).buffer),
    ],
  ])('quantised to %s', async (_name, quantization, bytes) => {
    const saved = withSpecs(await dense(), () => ({ quantization }), bytes)
    expect((await compare(saved, 2)).difference).toBeLessThan(tolerance)
  })

  test('names with the name of a cell or of a model around them, as TensorFlow 2.2 and later have', async () => {
    const model = tfl.sequential({
      layers: [layers.lstm({ recurrentInitializer: 'randomNormal', units: 4, inputShape: [3, 2], name: 'lstm' })],
    })
    const saved = await save(model)
    const renamed = withSpecs(
      saved,
      ({ name }) => ({ name: String(name).replace('lstm/', 'lstm/lstm_cell/') }),
      saved.weights,
    )
    expect(renamed.json).not.toEqual(saved.json)
    expect((await compare(renamed, 2)).difference).toBeLessThan(tolerance)
  })

  test('keep their names', async () => {
    const result = read(await dense())
    expect(E.isRight(result) ? [...result.right.constants.keys()] : []).toEqual(['dense/kernel', 'dense/bias'])
  })
})

describe('what is refused says which layer, and what to do', () => {
  const refused = async (layer: tfl.layers.Layer, pattern: RegExp): Promise<void> => {
    const result = read(await save(tfl.sequential({ layers: [layer] })))
    expect(E.isLeft(result) ? renderError(result.left) : 'read').toMatch(pattern)
    expect(E.isLeft(result) ? result.left.code : 'read').toBe('tfjs-unsupported')
  }
  test('a layer', () =>
    refused(
      layers.convLstm2d({
        filters: 2,
        kernelSize: 2,
        recurrentInitializer: 'randomNormal',
        inputShape: [3, 4, 4, 1],
        name: 'a',
      }),
      /^layer a \(ConvLSTM2D\): .*found layer ConvLSTM2D\. Convert the model itself: python -m tf2onnx/,
    ))
  test('a mask of zeros', () =>
    refused(
      layers.embedding({ inputDim: 3, outputDim: 2, maskZero: true, inputLength: 4, name: 'a' }),
      /^layer a \(Embedding\): .*mask_zero/,
    ))
  test('state', () =>
    refused(
      layers.lstm({
        recurrentInitializer: 'randomNormal',
        units: 2,
        stateful: true,
        batchInputShape: [1, 3, 2],
        name: 'a',
      }),
      /^layer a \(LSTM\): .*stateful/,
    ))
})
