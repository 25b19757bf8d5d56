/** What runs a graph: ONNX Runtime in this process, or the operators' reference evaluation for types that it lacks. */
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import type { Graph } from '../../src/ir/graph.ts'
import { dense, type Dense, elements, tensorOf } from '../../src/ir/tensor.ts'
import { sizeOf } from '../../src/ir/type.ts'
import { normals, uniforms } from '../inflate.ts'
import { orThrow } from './differential.ts'
import { interpreted, type Values } from './noise.ts'
import type { FloatType } from './numbers.ts'

export type OptimizationLevel = 'disabled' | 'all'

export interface Engine {
  readonly run: (feeds: Values) => Promise<Values>
  readonly close: () => Promise<void>
}

/** ONNX Runtime; only for graphs whose inputs and outputs are float32. */
export const onnxRuntime = async (graph: Graph, level: OptimizationLevel): Promise<Engine> => {
  const session = await ort.InferenceSession.create(orThrow(lower(graph)).model, {
    graphOptimizationLevel: level,
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  return {
    run: async (feeds) => {
      const given: Record<string, ort.Tensor> = {}
      for (const [name, x] of feeds)
        given[name] = new ort.Tensor('float32', Float32Array.from(elements(x), Number), x.shape)
      const results = await session.run(given)
      const out = new Map<string, Dense>()
      for (const name of session.outputNames) {
        const y = results[name]
        if (!(y?.data instanceof Float32Array)) throw new Error(`output ${name} is not float32`)
        const { data, dims } = y
        out.set(name, dense('float32', [...dims], new Uint8Array(data.buffer, data.byteOffset, data.byteLength)))
      }
      return out
    },
    close: () => session.release(),
  }
}

/** The reference evaluation: every operator in double, its result rounded once to the type. */
export const interpreter = (graph: Graph): Engine => ({
  run: (feeds) => Promise.resolve(interpreted(graph, feeds)),
  close: () => Promise.resolve(),
})

/** Seeded N(0, 1) inputs times `scale`; symbolic sizes are bound by `sizes`, batches to 2. */
export const feedsOf = (
  graph: Graph,
  seed: number,
  sizes: ReadonlyMap<string, number> = new Map(),
  scale = 1,
): ReadonlyMap<string, Dense> => {
  const normal = normals(uniforms(seed))
  const feeds = new Map<string, Dense>()
  for (const { name, type } of graph.inputs) {
    if (type.kind !== 'tensor') throw new Error(`input ${name} is no tensor`)
    const shape = (type.shape ?? []).map((d) => (typeof d === 'number' ? d : (sizes.get(d) ?? 2)))
    feeds.set(
      name,
      tensorOf(
        type.dtype,
        shape,
        Array.from({ length: sizeOf(shape) }, () => scale * normal()),
      ),
    )
  }
  return feeds
}

/** What runs graphs of a type. ONNX Runtime's CPU provider lacks bfloat16 and most of float64, and computes float16 in float32. */
export const engineFor = (graph: Graph, dtype: FloatType): Promise<Engine> =>
  dtype === 'float32' ? onnxRuntime(graph, 'disabled') : Promise.resolve(interpreter(graph))
