/** Models as TensorFlow.js saves and runs them, and as ONNX Runtime runs what they are read as. */
import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { loadGraphModel } from '@tensorflow/tfjs-converter'
import * as tf from '@tensorflow/tfjs-core'
import '@tensorflow/tfjs-backend-cpu'
import { type LayersModel, loadLayersModel } from '@tensorflow/tfjs-layers'
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { lower } from '../../../src/export/lower.ts'
import { renderError } from '../../../src/ir/failure.ts'
import type { Graph } from '../../../src/ir/graph.ts'
import { isRecord } from '../../../src/ir/record.ts'
import { isStatic } from '../../../src/ir/type.ts'
import type { ExternalReader } from '../../../src/read/external.ts'
import { readAnyModel } from '../../../src/read/any-model.ts'
import { orThrow } from '../../fuzz/differential.ts'
import { uniforms } from '../../inflate.ts'

/** `model.json` and the one file of its weights. */
export interface Saved {
  readonly json: Readonly<Record<string, unknown>>
  readonly weights: Uint8Array
}

export const weightsFile = 'weights.bin'

/** Messages of TensorFlow.js that say nothing to us. */
export const quiet = async (): Promise<void> => {
  tf.env().set('IS_TEST', true)
  await tf.setBackend('cpu')
}

/** What TensorFlow.js would write to disk. */
export const save = async (model: LayersModel): Promise<Saved> => {
  const saved: Saved[] = []
  await model.save(
    tf.io.withSaveHandler(async ({ modelTopology, weightSpecs, weightData }) => {
      const parts = Array.isArray(weightData) ? weightData : [weightData ?? new ArrayBuffer(0)]
      const json = { modelTopology, weightsManifest: [{ paths: [weightsFile], weights: weightSpecs }] }
      saved.push({
        json: JSON.parse(JSON.stringify(json)),
        weights: new Uint8Array(Buffer.concat(parts.map((part) => new Uint8Array(part)))),
      })
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } }
    }),
  )
  const [only] = saved
  if (only === undefined) throw new Error('nothing saved')
  return only
}

/** The files of `saved` beside each other. */
export const filesOf =
  ({ weights }: Saved): ExternalReader =>
  (location) =>
    location === weightsFile
      ? { size: weights.length, read: (offset, length) => weights.subarray(offset, offset + length) }
      : undefined

export const read = (saved: Saved): ReturnType<typeof readAnyModel> =>
  readAnyModel(new TextEncoder().encode(JSON.stringify(saved.json)), { external: filesOf(saved) })

const isDtype = (x: unknown): x is 'float32' | 'int32' | 'bool' => x === 'float32' || x === 'int32' || x === 'bool'

interface Spec {
  readonly name: string
  readonly dtype: 'float32' | 'int32' | 'bool'
  readonly shape: number[]
}

/** The weights that a manifest lists. */
export const specsOf = ({ json }: Saved): ReadonlyArray<Spec> => {
  const groups: ReadonlyArray<unknown> = Array.isArray(json['weightsManifest']) ? json['weightsManifest'] : []
  return groups.flatMap((group) => {
    const list: ReadonlyArray<unknown> = isRecord(group) && Array.isArray(group['weights']) ? group['weights'] : []
    return list.map((given) => {
      const { name, dtype, shape }: Readonly<Record<string, unknown>> = isRecord(given) ? given : {}
      if (typeof name !== 'string' || !isDtype(dtype) || !Array.isArray(shape)) throw new Error('an odd manifest')
      return { ...(isRecord(given) ? given : {}), name, dtype, shape: shape.map(Number) }
    })
  })
}

export interface Feed {
  readonly dtype: 'float32' | 'int32'
  readonly shape: ReadonlyArray<number>
  readonly values: Float32Array | Int32Array
}

/** Random inputs for `graph`, with sizes that it leaves open. */
export const feedsFor = (graph: Graph, seed = 1, open = 1): ReadonlyMap<string, Feed> => {
  const draw = uniforms(seed)
  return new Map(
    graph.inputs.map(({ name, type }) => {
      if (type.kind !== 'tensor' || (type.dtype !== 'float32' && type.dtype !== 'int32'))
        throw new Error(`input ${name}`)
      const shape = (type.shape ?? []).map((size, axis) =>
        isStatic(size) ? size : axis === 0 ? Math.min(open, 2) : open,
      )
      const count = shape.reduce((product, size) => product * size, 1)
      const values =
        type.dtype === 'float32'
          ? Float32Array.from({ length: count }, () => 2 * draw() - 1)
          : Int32Array.from({ length: count }, () => Math.floor(draw() * 5))
      return [name, { dtype: type.dtype, shape, values }]
    }),
  )
}

export interface Result {
  readonly shape: ReadonlyArray<number>
  readonly values: ReadonlyArray<number>
}

const topologyOf = ({ json }: Saved): Readonly<Record<string, unknown>> => {
  const topology = json['modelTopology']
  if (!isRecord(topology)) throw new Error('no topology')
  return topology
}

/** What TensorFlow.js computes, in the order of its outputs. */
export const runTensorFlowJs = async (
  saved: Saved,
  feeds: ReadonlyMap<string, Feed>,
): Promise<ReadonlyArray<Result>> => {
  const topology = topologyOf(saved)
  const { signature } = saved.json
  const handler = tf.io.fromMemory({
    modelTopology: topology,
    ...(isRecord(signature) ? { signature } : {}),
    weightSpecs: [...specsOf(saved)],
    weightData: new Uint8Array(saved.weights).buffer,
  })
  const tensors = new Map(
    [...feeds].map(([name, { values, shape, dtype }]) => [name, tf.tensor(values, [...shape], dtype)]),
  )
  const compute = async (): Promise<tf.Tensor[]> => {
    if (!Array.isArray(topology['node'])) {
      const model = await loadLayersModel(handler)
      const inputs = model.inputs.map(({ sourceLayer }) => tensors.get(sourceLayer.name) ?? tf.scalar(NaN))
      return [model.predict(inputs)].flat()
    }
    const model = await loadGraphModel(handler)
    const nodes: ReadonlyArray<unknown> = topology['node']
    const isDynamic = nodes.some((node) => isRecord(node) && node['op'] === 'Where')
    const given = Object.fromEntries(tensors)
    return [isDynamic ? await model.executeAsync(given) : model.execute(given)].flat()
  }
  const results = await compute()
  return results.map((result) => ({ shape: result.shape, values: Array.from(result.dataSync(), Number) }))
}

/** What ONNX Runtime computes with `graph`, in the order of its outputs. */
export const runOnnx = async (graph: Graph, feeds: ReadonlyMap<string, Feed>): Promise<ReadonlyArray<Result>> => {
  const lowered = lower(graph)
  if (E.isLeft(lowered)) throw new Error(renderError(lowered.left))
  const { model, external } = lowered.right
  const data = external && { path: external.name, data: new Uint8Array(Buffer.concat([...external.chunks()])) }
  const session = await ort.InferenceSession.create(model, {
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
    ...(data === undefined ? {} : { externalData: [data] }),
  })
  const inputs = Object.fromEntries(
    [...feeds]
      .filter(([name]) => session.inputNames.includes(name))
      .map(([name, { dtype, values, shape }]) => [name, new ort.Tensor(dtype, values, [...shape])]),
  )
  const results = await session.run(inputs)
  await session.release()
  return graph.outputs.map(({ name }) => {
    const result = results[name]
    if (result === undefined) throw new Error(`no output ${name}`)
    const values: number[] = []
    for (const value of result.data) values.push(Number(value))
    return { shape: result.dims, values }
  })
}

/** The largest difference of two results, over the largest magnitude of the first one, or 1. Of other shapes it is infinite. */
export const differenceOf = (expected: ReadonlyArray<Result>, found: ReadonlyArray<Result>): number => {
  if (expected.length !== found.length) return Infinity
  let worst = 0
  for (const [i, { shape, values }] of expected.entries()) {
    const other = found[i]
    if (other === undefined || shape.join() !== other.shape.join()) return Infinity
    const scale = values.reduce((most, value) => Math.max(most, Math.abs(value)), 1)
    for (const [k, value] of values.entries()) {
      const difference = Math.abs(value - (other.values[k] ?? NaN)) / scale
      if (!(difference <= worst)) worst = Number.isNaN(difference) ? Infinity : difference
    }
  }
  return worst
}

/** Reads `saved` and runs it in both worlds. */
export const compare = async (
  saved: Saved,
  open = 1,
): Promise<{ readonly graph: Graph; readonly difference: number }> => {
  const graph = orThrow(read(saved))
  const feeds = feedsFor(graph, 1, open)
  const [expected, found] = [await runTensorFlowJs(saved, feeds), await runOnnx(graph, feeds)]
  return { graph, difference: differenceOf(expected, found) }
}

/** A model of `test/models/tfjs`, which has no weights: numbers drawn for each, but for those that say sizes and axes. */
export const loadStripped = (name: string): Saved => {
  const file = new URL(`../../models/tfjs/${name}.json.gz`, import.meta.url)
  const { values: kept = {}, ...json }: Record<string, unknown> = JSON.parse(gunzipSync(readFileSync(file)).toString())
  const saved = { json, weights: new Uint8Array() }
  const draw = uniforms(7)
  const parts = specsOf(saved).map(({ name: weight, dtype, shape }) => {
    const count = shape.reduce((product, size) => product * size, 1)
    const given = isRecord(kept) ? kept[weight] : undefined
    const numbers = Array.isArray(given) ? given.map(Number) : undefined
    if (dtype === 'int32') return new Uint8Array(Int32Array.from(numbers ?? []).buffer)
    if (dtype === 'bool') return Uint8Array.from(numbers ?? [])
    const reads = shape.length < 2 ? 0 : count / (shape.at(-1) ?? 1)
    const value = (): number => (reads === 0 ? 0.5 + draw() : (2 * draw() - 1) * Math.sqrt(3 / reads))
    return new Uint8Array(Float32Array.from(numbers ?? Array.from({ length: count }, value)).buffer)
  })
  return { json, weights: new Uint8Array(Buffer.concat(parts)) }
}
