/** Gradients of the mean square of the output in evaluation mode: as finite differences, and alike on all backends. */
import { describe, expect, test } from 'vitest'
import { type Arrays, type Executor, type Feeds } from '../../../src/train/executor/executor.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { normals, uniforms } from '../../inflate.ts'
import { executorOf, open, randomTensor } from './helpers.ts'
import { samples } from './samples.ts'

const reference = await open('cpu')
const wasm = await open('wasm')

interface Probe {
  readonly loss: number
  readonly square: number
  readonly gradients: Arrays
}

const probe = async (executor: Executor, parameters: Arrays, feeds: Feeds): Promise<Probe> => {
  const { statistics } = executor.initialState()
  const state = { parameters: executor.writeParameters(parameters), statistics }
  const before = await executor.readParameters(state.statistics)
  const result = orThrow(executor.meanSquareAndGradients(state, feeds))
  expect(await executor.readParameters(state.statistics)).toEqual(before)
  const [y] = orThrow(executor.forward(state, feeds, 'eval')).values()
  const values = Float64Array.from((await y?.data()) ?? [])
  const [loss = NaN] = await result.loss.data()
  const square = values.reduce((sum, x) => sum + x * x, 0) / values.length
  return { loss, square, gradients: await executor.readParameters(result.gradients) }
}

const chosen = samples.filter(
  ({ label, steps }) => steps !== true && /Normalization|Conv|Gemm|MatMul|Softmax/.test(label),
)

describe.each(chosen.map((sample) => [sample.label, sample] as const))('%s', (_, { graph, shape }) => {
  const feeds: Feeds = new Map([['x', randomTensor(shape, 3)]])
  test('has the mean square and gradients that finite differences give', async () => {
    const executor = executorOf(graph, reference)
    const parameters = await executor.readParameters(executor.initialState().parameters)
    const { loss, square, gradients } = await probe(executor, parameters, feeds)
    expect(Math.abs(loss / square - 1)).toBeLessThan(1e-5)
    for (const [name, gradient] of gradients) {
      const values = parameters.get(name) ?? new Float32Array()
      const direction = Float32Array.from({ length: values.length }, normals(uniforms(17)))
      const step = 2e-3
      const at = async (t: number): Promise<number> => {
        const moved = values.map((v, i) => v + t * (direction[i] ?? 0))
        return (await probe(executor, new Map([...parameters, [name, moved]]), feeds)).square
      }
      const difference = ((await at(step)) - (await at(-step))) / (2 * step)
      const product = gradient.reduce((sum, g, i) => sum + g * (direction[i] ?? 0), 0)
      const scale = Math.hypot(...gradient)
      expect(Math.abs(difference - product), `gradient of ${name}`).toBeLessThan(1e-2 * Math.max(scale, 0.05))
    }
  })
  test('has the same on WebAssembly', async () => {
    const executor = executorOf(graph, reference)
    const parameters = await executor.readParameters(executor.initialState().parameters)
    const [a, b] = [await probe(executor, parameters, feeds), await probe(executorOf(graph, wasm), parameters, feeds)]
    for (const [name, gradient] of a.gradients) {
      const other = b.gradients.get(name) ?? new Float32Array()
      // What a normalisation gives has a mean square that hardly depends on anything.
      const scale = gradient.reduce((largest, g) => Math.max(largest, Math.abs(g)), 0.1 * a.loss)
      const apart = gradient.reduce((largest, g, i) => Math.max(largest, Math.abs(g - (other[i] ?? NaN))), 0)
      expect(apart, name).toBeLessThan(2e-5 * scale)
    }
  })
})

test('is asked of normalisations, too', () => {
  expect(chosen.map(({ label }) => label)).toContain('BatchNormalization of many channels')
})
