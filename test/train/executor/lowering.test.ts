/** Every training rule: forwards as ONNX Runtime, backwards as finite differences, and alike on all backends. */
import { describe, expect, test } from 'vitest'
import { evaluateGraph } from '../../../src/ir/interpret.ts'
import { numbersOf } from '../../../src/ir/evaluate.ts'
import { tensorOf } from '../../../src/ir/tensor.ts'
import type { Backend } from '../../../src/train/backend/index.ts'
import type { Arrays, Executor, Feeds } from '../../../src/train/executor/executor.ts'
import { trainable } from '../../../src/train/executor/ops/index.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { normals, uniforms } from '../../inflate.ts'
import { executorOf, inOnnxRuntime, open, openThoseHere, randomTensor, relativeError } from './helpers.ts'
import { evaluated, type Sample, samples } from './samples.ts'

const reference = await open('cpu')
const others = [await open('wasm'), ...(await openThoseHere(['tfjs-node', 'webgpu']))]
/** WebGPU leaves the precision of sine and cosine to the driver. */
const toleranceOf = ({ covers }: Sample, { name }: Backend): number =>
  name === 'webgpu' && covers.some((op) => op === 'Sin' || op === 'Cos') ? 5e-4 : 2e-5

const all = [reference, ...others].map((backend) => [backend.name, backend] as const)

const feedsOf = ({ shape, steps }: Sample): Feeds => {
  const { values } = randomTensor(shape, 3)
  return new Map([['x', { shape, values: steps ? values.map((v) => Math.round(2 * v) + 0.25) : values }]])
}

const expectedOf = async (sample: Sample, feeds: Feeds): Promise<Float32Array> => {
  const [output] = sample.graph.outputs
  if (!evaluated.has(sample.label)) {
    return (await inOnnxRuntime(sample.graph, feeds)).get(output?.name ?? '') ?? new Float32Array()
  }
  const dense = new Map([...feeds].map(([name, { shape, values }]) => [name, tensorOf('float32', shape, values)]))
  const result = orThrow(evaluateGraph(sample.graph, dense)).get(output?.name ?? '')
  return Float32Array.from(result ? numbersOf(result) : [])
}

const outputOf = async (executor: Executor, feeds: Feeds): Promise<Float32Array> => {
  const state = executor.initialState()
  const outputs = orThrow(executor.forward(state, feeds, 'eval'))
  const [tensor] = outputs.values()
  return Float32Array.from((await tensor?.data()) ?? [])
}

interface Probe {
  readonly loss: number
  readonly gradients: Arrays
}

const labels = [1, 0, 2, 1, 0]

const probe = async (executor: Executor, parameters: Arrays, feeds: Feeds): Promise<Probe> => {
  const { statistics } = executor.initialState()
  const state = { parameters: executor.writeParameters(parameters), statistics }
  const rows = feeds.get('x')?.shape[0] ?? 1
  const result = orThrow(
    executor.lossAndGradients(state, { inputs: feeds, labels: labels.slice(0, rows) }, { labelSmoothing: 0.1 }),
  )
  const [loss = NaN] = await result.loss.data()
  return { loss, gradients: await executor.readParameters(result.gradients) }
}

/** `values` moved by `step` along `direction`. */
const moved = (values: Float32Array, direction: Float32Array, step: number): Float32Array =>
  values.map((v, i) => v + step * (direction[i] ?? 0))

/** Derivative of the loss along a seeded direction of one parameter, by central differences and by the gradient. */
const derivatives = async (
  executor: Executor,
  parameters: Arrays,
  feeds: Feeds,
  name: string,
  gradient: Float32Array,
): Promise<readonly [difference: number, product: number, scale: number]> => {
  const values = parameters.get(name) ?? new Float32Array()
  const direction = Float32Array.from({ length: values.length }, normals(uniforms(17)))
  const step = 2e-3
  const at = async (t: number): Promise<number> =>
    (await probe(executor, new Map([...parameters, [name, moved(values, direction, t)]]), feeds)).loss
  const difference = ((await at(step)) - (await at(-step))) / (2 * step)
  const product = gradient.reduce((sum, g, i) => sum + g * (direction[i] ?? 0), 0)
  return [difference, product, Math.hypot(...gradient)]
}

test('every operator with a rule has a sample', () => {
  const sampled = new Set(samples.flatMap(({ covers }) => covers))
  expect(trainable.filter((name) => !sampled.has(name))).toEqual([])
})

describe.each(samples.map((sample) => [sample.label, sample] as const))('%s', (_label, sample) => {
  const feeds = feedsOf(sample)

  test.each(all)('computes what ONNX Runtime computes on %s', async (_name, backend) => {
    const executor = executorOf(sample.graph, backend)
    expect(relativeError(await expectedOf(sample, feeds), await outputOf(executor, feeds))).toBeLessThan(
      toleranceOf(sample, backend),
    )
  })

  test('gives the gradients that finite differences give', async () => {
    const executor = executorOf(sample.graph, reference)
    const parameters = await executor.readParameters(executor.initialState().parameters)
    const { gradients } = await probe(executor, parameters, feeds)
    expect([...gradients.keys()].sort()).toEqual([...parameters.keys()].sort())
    for (const [name, gradient] of gradients) {
      const [difference, product, scale] = await derivatives(executor, parameters, feeds, name, gradient)
      expect(scale, `gradient of ${name}`).toBeGreaterThan(1e-4)
      expect(Math.abs(difference - product), `gradient of ${name}`).toBeLessThan(5e-3 * Math.max(scale, 0.05))
    }
  })

  test('gives the same gradients on other backends', async () => {
    const executor = executorOf(sample.graph, reference)
    const parameters = await executor.readParameters(executor.initialState().parameters)
    const expected = await probe(executor, parameters, feeds)
    for (const backend of others) {
      const { loss, gradients } = await probe(executorOf(sample.graph, backend), parameters, feeds)
      const tolerance = toleranceOf(sample, backend)
      expect(relativeError([expected.loss], [loss]), backend.name).toBeLessThan(tolerance)
      for (const [name, gradient] of expected.gradients) {
        const error = relativeError(gradient, gradients.get(name) ?? [])
        expect(error, `${name} on ${backend.name}`).toBeLessThan(tolerance)
      }
    }
  })
})
