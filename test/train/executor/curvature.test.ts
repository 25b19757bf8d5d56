/** Hessian products of every training rule: as finite differences of the gradient, and symmetric. */
import { describe, expect, test } from 'vitest'
import type { Arrays, Batch, Executor } from '../../../src/train/executor/executor.ts'
import { hessianProduct } from '../../../src/train/executor/curvature.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { normals, uniforms } from '../../inflate.ts'
import { executorOf, open, openThoseHere, randomTensor, relativeError } from './helpers.ts'
import { type Sample, samples } from './samples.ts'

const reference = await open('cpu')
const others = [await open('wasm'), ...(await openThoseHere(['tfjs-node']))]

const batchOf = ({ shape, steps }: Sample): Batch => {
  const { values } = randomTensor(shape, 3)
  const x = { shape, values: steps ? values.map((v) => Math.round(2 * v) + 0.25) : values }
  return { inputs: new Map([['x', x]]), labels: [1, 0, 2, 1, 0].slice(0, shape[0]) }
}

const options = { labelSmoothing: 0.1, temperature: 2 }

const directionOf = (parameters: Arrays, seed: number): Arrays =>
  new Map(
    Array.from(parameters, ([name, { length }], p) => [
      name,
      Float32Array.from({ length }, normals(uniforms(seed + p))),
    ]),
  )

const gradientsAt = async (executor: Executor, parameters: Arrays, batch: Batch): Promise<Arrays> => {
  const { statistics } = executor.initialState()
  const state = { parameters: executor.writeParameters(parameters), statistics }
  const { gradients } = orThrow(executor.lossAndGradients(state, batch, options))
  return executor.readParameters(gradients)
}

const product = async (executor: Executor, batch: Batch, direction: Arrays): Promise<Arrays> => {
  const found = orThrow(
    hessianProduct(executor, executor.initialState(), batch, executor.writeParameters(direction), options),
  )
  const arrays = await executor.readParameters(found)
  return new Map(Array.from(direction, ([name, { length }]) => [name, arrays.get(name) ?? new Float32Array(length)]))
}

const flat = (arrays: Arrays): ReadonlyArray<number> =>
  [...arrays.keys()].sort().flatMap((name) => [...(arrays.get(name) ?? [])])

const dot = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): number =>
  a.reduce((sum, x, i) => sum + x * (b[i] ?? NaN), 0)

const norm = (a: ReadonlyArray<number>): number => Math.sqrt(dot(a, a))

describe.each(samples.map((sample) => [sample.label, sample] as const))('%s', (_label, sample) => {
  const batch = batchOf(sample)

  test('is what differences of the gradient are, symmetric, and the same on other backends', async () => {
    const executor = executorOf(sample.graph, reference)
    const parameters = await executor.readParameters(executor.initialState().parameters)
    if (parameters.size === 0) {
      // Zeros are folded, so that nothing is left to train.
      expect(sample.steps).toBe(true)
      return
    }
    const [u, v] = [directionOf(parameters, 17), directionOf(parameters, 91)]
    const [hu, hv] = [flat(await product(executor, batch, u)), flat(await product(executor, batch, v))]
    const step = 1e-3
    const at = async (t: number): Promise<ReadonlyArray<number>> => {
      const moved = Array.from(parameters, ([name, w]) => {
        return [name, w.map((x, i) => x + t * (u.get(name)?.[i] ?? NaN))] as const
      })
      return flat(await gradientsAt(executor, new Map(moved), batch))
    }
    const [above, below] = [await at(step), await at(-step)]
    const off = above.map((g, i) => (g - (below[i] ?? NaN)) / (2 * step) - (hu[i] ?? NaN))
    // In float32 the differences are good for some 1e-6 of the gradient by 2e-3.
    expect(norm(off)).toBeLessThan(2e-3 * norm(hu) + 1e-6 * (norm(above) / step))
    expect(Math.abs(dot(flat(v), hu) - dot(flat(u), hv))).toBeLessThan(1e-6 * norm(flat(v)) * norm(hu))
    for (const backend of others) {
      const other = flat(await product(executorOf(sample.graph, backend), batch, u))
      expect(relativeError(hu, other), backend.name).toBeLessThan(2e-5)
    }
  })
})

test('leaves the state as it is, and nothing behind', async () => {
  for (const backend of [reference, ...others]) {
    const sample = samples.find(({ label }) => label === 'BatchNormalization') ?? samples[0]
    if (sample === undefined) throw new Error('no sample')
    const executor = executorOf(sample.graph, backend)
    const state = executor.initialState()
    const before = [await executor.readParameters(state.parameters), await executor.readParameters(state.statistics)]
    const direction = executor.writeParameters(directionOf(before[0] ?? new Map(), 5))
    const tensors = backend.core.memory().numTensors
    const found = orThrow(hessianProduct(executor, state, batchOf(sample), direction, options))
    expect([...found.keys()].sort()).toEqual([...state.parameters.keys()].sort())
    for (const tensor of found.values()) tensor.dispose()
    expect(backend.core.memory().numTensors).toBe(tensors)
    expect([await executor.readParameters(state.parameters), await executor.readParameters(state.statistics)]).toEqual(
      before,
    )
  }
})
