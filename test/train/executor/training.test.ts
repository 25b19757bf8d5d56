/** Training steps of a small network: alike on all backends, without leaks, with masks, and back into a graph. */
import { describe, expect, test } from 'vitest'
import * as ops from '../../../src/ir/ops/index.ts'
import { float32View, materialize } from '../../../src/ir/tensor.ts'
import type { Backend } from '../../../src/train/backend/backend.ts'
import { type Arrays, type Batch, type Executor, graphWithParameters } from '../../../src/train/executor/index.ts'
import { applyMasks, initialMoments, type SgdOptions, sgdStep } from '../../../src/train/executor/index.ts'
import { buildGraph, convNormRelu } from '../../builder.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { uniforms } from '../../inflate.ts'
import { executorOf, feedsFor, inOnnxRuntime, open, openThoseHere, randomTensor, relativeError } from './helpers.ts'

/** A strided and a depthwise convolution, a residual addition, pooling and a linear layer. */
const graph = buildGraph({ x: ['N', 3, 8, 8] }, (b) => {
  const stem = convNormRelu(b, 'stem', 'x', [8, 3, 3])
  const inner = convNormRelu(
    b,
    'inner',
    convNormRelu(b, 'depthwise', stem, [8, 8, 3], {}, true, 8),
    [8, 8, 3],
    {},
    false,
  )
  const block = b.op(ops.Relu, [b.op(ops.Add, [stem, inner])])
  const strided = b.op(ops.Conv, [block, b.weight('strided', [12, 8, 3, 3])], { strides: [2, 2], pads: [1, 1, 1, 1] })
  const pooled = b.op(ops.MaxPool, [strided], { kernel_shape: [2, 2], strides: [2, 2] })
  const features = b.op(ops.Flatten, [b.op(ops.GlobalAveragePool, [pooled])])
  return [b.op(ops.Gemm, [features, b.weight('linear', [5, 12]), b.weight('linearBias', [5])], { transB: 1 })]
})

const batchOf = (step: number): Batch => ({
  inputs: new Map([['x', randomTensor([6, 3, 8, 8], 100 + step)]]),
  labels: [0, 1, 2, 3, 4, 0],
})

const sgd: SgdOptions = { learningRate: 0.05, momentum: 0.9, weightDecay: 1e-3 }

interface Outcome {
  readonly losses: ReadonlyArray<number>
  readonly values: Arrays
  /** Tensors on the device after each step. */
  readonly tensors: ReadonlyArray<number>
}

const trained = async (backend: Backend, steps: number, masks: Arrays = new Map()): Promise<Outcome> => {
  const executor = executorOf(graph, backend)
  const state = executor.initialState()
  const moments = initialMoments(backend, state.parameters)
  const onDevice = executor.writeParameters(masks)
  applyMasks(backend, state.parameters, onDevice)
  const losses: number[] = []
  const tensors: number[] = []
  for (let step = 0; step < steps; step++) {
    const { loss, logits, gradients } = orThrow(
      executor.lossAndGradients(state, batchOf(step), { labelSmoothing: 0.1 }),
    )
    sgdStep(backend, state.parameters, moments, gradients, sgd, onDevice)
    losses.push((await loss.data())[0] ?? NaN)
    for (const tensor of [loss, logits, ...gradients.values()]) tensor.dispose()
    tensors.push(backend.core.memory().numTensors)
  }
  const values = await executor.readParameters(new Map([...state.parameters, ...state.statistics]))
  return { losses, values, tensors }
}

const reference = await open('cpu')
const others = [await open('wasm'), ...(await openThoseHere(['tfjs-node', 'webgpu']))]

describe('the same steps', () => {
  test.each(others.map((backend) => [backend.name, backend] as const))('on %s as on cpu', async (_name, backend) => {
    const [expected, found] = [await trained(reference, 10), await trained(backend, 10)]
    expect(relativeError(expected.losses, found.losses)).toBeLessThan(1e-4)
    expect([...found.values.keys()]).toEqual([...expected.values.keys()])
    for (const [name, values] of expected.values) {
      expect(relativeError(values, found.values.get(name) ?? []), name).toBeLessThan(1e-3)
    }
  })

  test('lower the loss', async () => {
    const { losses } = await trained(others[0] ?? reference, 40)
    expect(losses.at(-1)).toBeLessThan(0.8 * (losses[0] ?? 0))
  })

  test('leave no tensors behind', async () => {
    for (const backend of [reference, others[0] ?? reference]) {
      const { tensors } = await trained(backend, 4)
      expect(new Set(tensors).size, backend.name).toBe(1)
    }
  })
})

describe('masks', () => {
  const uniform = uniforms(9)
  const mask = Float32Array.from({ length: 8 * 8 * 9 }, () => (uniform() < 0.7 ? 0 : 1))

  test('keep masked weights at zero and leave the others free', async () => {
    const { values } = await trained(reference, 3, new Map([['inner.weight', mask]]))
    const weights = values.get('inner.weight') ?? new Float32Array()
    expect(weights.map((w) => (w === 0 ? 0 : 1))).toEqual(mask)
  })

  test('are applied at once where asked for', async () => {
    const executor = executorOf(graph, reference)
    const { parameters } = executor.initialState()
    const before = (await executor.readParameters(parameters)).get('inner.weight') ?? []
    applyMasks(reference, parameters, executor.writeParameters(new Map([['inner.weight', mask]])))
    const after = (await executor.readParameters(parameters)).get('inner.weight')
    expect(after).toEqual(Float32Array.from(before, (w, i) => w * (mask[i] ?? 0)))
  })
})

/** The optimiser's formulas in doubles. */
const expectedStep = (
  { w, v, g }: { readonly w: number; readonly v: number; readonly g: number },
  decay: number,
  nesterov: boolean,
): readonly [w: number, v: number] => {
  const slope = g + decay * w
  const velocity = sgd.momentum * v + slope
  return [w - sgd.learningRate * (nesterov ? slope + sgd.momentum * velocity : velocity), velocity]
}

describe('the optimiser', () => {
  test.each([false, true])('computes what PyTorch defines, Nesterov %s', async (nesterov) => {
    const { ops: k } = reference
    const start = { w: 0.5, v: 0.25, g: -1 }
    const decays = (name: string): boolean => name === 'weight'
    for (const name of ['weight', 'bias']) {
      const parameters = new Map([[name, k.tensor(Float32Array.of(start.w), [1])]])
      const moments = new Map([[name, k.tensor(Float32Array.of(start.v), [1])]])
      const gradients = new Map([[name, k.tensor(Float32Array.of(start.g), [1])]])
      sgdStep(reference, parameters, moments, gradients, { ...sgd, nesterov, decays })
      const [w, v] = expectedStep(start, name === 'weight' ? sgd.weightDecay : 0, nesterov)
      expect((await parameters.get(name)?.data())?.[0]).toBeCloseTo(w, 6)
      expect((await moments.get(name)?.data())?.[0]).toBeCloseTo(v, 6)
    }
  })
})

describe('parameters', () => {
  const executorHere = (): Executor => executorOf(graph, reference)

  test('are the weights and the running statistics, and no other constant', () => {
    const { parameters, statistics } = executorHere()
    const names = ['stem', 'depthwise', 'inner']
    expect(parameters.map(({ name }) => name).sort()).toEqual(
      [...names.flatMap((n) => [`${n}.weight`, `${n}.scale`, `${n}.shift`]), 'linear', 'linearBias', 'strided'].sort(),
    )
    expect(statistics.map(({ name }) => name)).toEqual(names.flatMap((n) => [`${n}.mean`, `${n}.var`]))
  })

  test('come back as they were written', async () => {
    const executor = executorHere()
    const { parameters, statistics } = executor.initialState()
    for (const [name, values] of await executor.readParameters(new Map([...parameters, ...statistics]))) {
      const constant = executor.graph.constants.get(name)
      expect(values, name).toEqual(constant && float32View(materialize(constant)))
    }
  })

  test('and running statistics make a graph that ONNX Runtime runs like the executor', async () => {
    const executor = executorHere()
    const state = executor.initialState()
    orThrow(executor.lossAndGradients(state, batchOf(0)))
    const arrays = await executor.readParameters(new Map([...state.parameters, ...state.statistics]))
    const exported = graphWithParameters(executor.graph, arrays)
    const feeds = feedsFor(graph)
    const [[, expected] = []] = await inOnnxRuntime(exported, feeds)
    const [[, found] = []] = orThrow(executor.forward(state, feeds, 'eval'))
    expect(relativeError(expected ?? [], (await found?.data()) ?? [])).toBeLessThan(1e-5)
    expect(arrays.get('stem.mean')).not.toEqual(
      (await executor.readParameters(executor.initialState().statistics)).get('stem.mean'),
    )
  })
})

describe('gradients of what a layer reads, by other weights than it computes with', () => {
  const gradientsBy = async (instead: Arrays) => {
    const executor = executorOf(graph, reference)
    const state = executor.initialState()
    const others = executor.writeParameters(instead)
    const { gradients } = orThrow(executor.lossAndGradients(state, batchOf(0), { instead: others }))
    return executor.readParameters(gradients)
  }
  const weightsOf = (name: string): Float32Array => {
    const tensor = graph.constants.get(name)
    if (tensor === undefined) throw new Error(name)
    return float32View(materialize(tensor)).slice()
  }

  test.each(['depthwise.weight', 'inner.weight', 'strided', 'linear'])(
    '%s: change those of what comes before alone',
    async (name) => {
      const weights = weightsOf(name)
      const [same, zero, plain] = [
        await gradientsBy(new Map([[name, weights]])),
        await gradientsBy(new Map([[name, weights.map(() => 0)]])),
        await gradientsBy(new Map()),
      ]
      expect(same).toEqual(plain)
      expect(zero.get(name)).toEqual(plain.get(name))
      const changed = [...plain.keys()].filter((one) => `${zero.get(one)}` !== `${plain.get(one)}`)
      expect(changed).toContain('stem.weight')
      expect(changed).not.toContain('linearBias')
    },
  )

  test('are refused where the value is no weight of a layer', () => {
    const executor = executorOf(graph, reference)
    for (const name of ['linearBias', 'stem.scale']) {
      const instead = executor.writeParameters(new Map([[name, weightsOf(name)]]))
      expect(executor.lossAndGradients(executor.initialState(), batchOf(0), { instead })).toMatchObject({
        left: { subject: `gradients by other weights than ${name}` },
      })
    }
  })
})

test('running statistics move towards those of the batch by a tenth', async () => {
  const norm = buildGraph({ x: ['N', 2] }, (b) => [
    b.op(ops.BatchNormalization, [
      'x',
      b.floats('scale', [1, 1]),
      b.floats('shift', [0, 0]),
      b.floats('mean', [1, 2]),
      b.floats('variance', [1, 1]),
    ]),
  ])
  const executor = executorOf(norm, reference)
  const state = executor.initialState()
  const inputs = new Map([['x', { values: Float32Array.of(0, 5, 4, 9), shape: [2, 2] }]])
  orThrow(executor.lossAndGradients(state, { inputs, labels: [0, 1] }))
  const moved = await executor.readParameters(state.statistics)
  expect(relativeError([0.9 * 1 + 0.1 * 2, 0.9 * 2 + 0.1 * 7], moved.get('mean') ?? [])).toBeLessThan(1e-6)
  expect(relativeError([0.9 + 0.1 * 4, 0.9 + 0.1 * 4], moved.get('variance') ?? [])).toBeLessThan(1e-6)
})
