/** Executors for tests, and the same graphs in ONNX Runtime. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { expect } from 'vitest'
import { lower } from '../../../src/export/lower.ts'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { type Backend, type BackendName } from '../../../src/train/backend/backend.ts'
import { openBackend } from '../../../src/train/backend/open.ts'
import { buildExecutor, type Executor, type Feeds, type HostTensor } from '../../../src/train/executor/executor.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { normals, uniforms } from '../../inflate.ts'

export const open = async (name: BackendName): Promise<Backend> => orThrow(await openBackend(name)())

/** Those of `names` that work here; a line says what is missing for each of the others. */
export const openThoseHere = async (names: ReadonlyArray<BackendName>): Promise<ReadonlyArray<Backend>> => {
  const found: Backend[] = []
  for (const name of names) {
    const opened = await openBackend(name)()
    if (E.isRight(opened)) found.push(opened.right)
    else console.log(`not tested on ${name}: ${renderError(opened.left)}`)
  }
  return found
}

export const executorOf = (graph: Graph, backend: Backend): Executor => orThrow(buildExecutor(graph, backend))

export const randomTensor = (shape: ReadonlyArray<number>, seed: number): HostTensor => {
  const normal = normals(uniforms(seed))
  return { values: Float32Array.from({ length: shape.reduce((n, d) => n * d, 1) }, normal), shape }
}

/** Seeded N(0, 1) for every input; symbolic sizes by name, batches of 2. */
export const feedsFor = (graph: Graph, sizes: ReadonlyMap<string, number> = new Map(), seed = 5): Feeds => {
  const feeds = new Map<string, HostTensor>()
  for (const { name, type } of graph.inputs) {
    const shape = type.kind === 'tensor' ? (type.shape ?? []) : []
    feeds.set(
      name,
      randomTensor(
        shape.map((d) => (typeof d === 'number' ? d : (sizes.get(d) ?? 2))),
        seed + feeds.size,
      ),
    )
  }
  return feeds
}

export const inOnnxRuntime = async (graph: Graph, feeds: Feeds): Promise<ReadonlyMap<string, Float32Array>> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 3,
  })
  try {
    const given: Record<string, ort.Tensor> = {}
    for (const [name, { values, shape }] of feeds) given[name] = new ort.Tensor('float32', values, [...shape])
    const results = await session.run(given)
    const out = new Map<string, Float32Array>()
    for (const name of session.outputNames) {
      const data = results[name]?.data
      if (!(data instanceof Float32Array)) throw new Error(`output ${name} is not float32`)
      out.set(name, data)
    }
    return out
  } finally {
    await session.release()
  }
}

/** Max |b - a| / max |a|. */
export const relativeError = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(b.length).toBe(a.length)
  let difference = 0
  let scale = 0
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i] ?? NaN, b[i] ?? NaN]
    if (!Number.isFinite(x) || !Number.isFinite(y)) return Infinity
    difference = Math.max(difference, Math.abs(x - y))
    scale = Math.max(scale, Math.abs(x))
  }
  return difference === 0 ? 0 : difference / scale
}

/** The largest relative difference of the executor's outputs in evaluation mode to ONNX Runtime's. */
export const forwardError = async (graph: Graph, backend: Backend, feeds = feedsFor(graph)): Promise<number> => {
  const executor = executorOf(graph, backend)
  const before = backend.core.memory().numTensors
  const state = executor.initialState()
  const outputs = orThrow(executor.forward(state, feeds, 'eval'))
  const expected = await inOnnxRuntime(graph, feeds)
  let worst = 0
  expect([...outputs.keys()]).toEqual([...expected.keys()])
  for (const [name, tensor] of outputs) {
    worst = Math.max(worst, relativeError(expected.get(name) ?? [], await tensor.data()))
    tensor.dispose()
  }
  for (const tensor of [...state.parameters.values(), ...state.statistics.values()]) tensor.dispose()
  // What is left are the constants of a plan for these shapes.
  const plans = backend.core.memory().numTensors - before
  executor.dispose()
  expect(backend.core.memory().numTensors).toBeLessThanOrEqual(before)
  expect(plans).toBeGreaterThanOrEqual(0)
  return worst
}
