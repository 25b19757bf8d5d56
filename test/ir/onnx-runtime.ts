/** A sample's outputs as ONNX Runtime computes them. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import { type DType, dtypes } from '../../src/ir/dtype.ts'
import { numbersOf } from '../../src/ir/evaluate.ts'
import { renderError } from '../../src/ir/failure.ts'
import type { AnyOp } from '../../src/ir/registry.ts'
import { dense, type Dense } from '../../src/ir/tensor.ts'
import { graphOf, inputName, type Sample } from './helpers.ts'

/** One thread, no rewrites, no chatter. */
const plain: ort.InferenceSession.SessionOptions = {
  graphOptimizationLevel: 'disabled',
  intraOpNumThreads: 1,
  logSeverityLevel: 4,
}

/** Runs the node on `values`, all of them initializers, without graph optimizations. */
export const runSample = async (
  op: AnyOp,
  s: Sample,
  values: ReadonlyArray<Dense | undefined>,
): Promise<ReadonlyArray<Dense>> => {
  const constants = { ...s, inputs: s.inputs.map((x) => x && { ...x, constant: true }) }
  const graph = graphOf(op, constants, values)
  const lowered = lower(graph)
  if (E.isLeft(lowered)) throw new Error(`${op.name}, ${s.label}: ${renderError(lowered.left)}`)
  const session = await ort.InferenceSession.create(lowered.right.model, plain)
  const results = await session.run({})
  await session.release()
  return graph.outputs.map(({ name }) => {
    const tensor = results[name]
    if (tensor === undefined) throw new Error(`${op.name}, ${s.label}: no output ${name}`)
    return asDense(tensor)
  })
}

/**
 * A session of the node with its constants as initializers and float32 inputs that are given at each run, without graph
 * optimizations; undefined where another type is computed.
 */
export const openSample = async (
  op: AnyOp,
  s: Sample,
  values: ReadonlyArray<Dense | undefined>,
): Promise<
  | {
      readonly run: (inputs: ReadonlyArray<Dense | undefined>) => Promise<ReadonlyArray<Dense>>
      readonly close: () => Promise<void>
    }
  | undefined
> => {
  if (s.inputs.some((x) => x !== undefined && !x.constant && x.dtype !== 'float32')) return undefined
  const graph = graphOf(op, s, values)
  const lowered = lower(graph)
  if (E.isLeft(lowered)) throw new Error(`${op.name}, ${s.label}: ${renderError(lowered.left)}`)
  const session = await ort.InferenceSession.create(lowered.right.model, plain)
  return {
    run: async (inputs) => {
      const feeds: Record<string, ort.Tensor> = {}
      inputs.forEach((x, port) => {
        if (x === undefined || graph.constants.has(inputName(port))) return
        feeds[inputName(port)] = new ort.Tensor('float32', Float32Array.from(numbersOf(x)), x.shape)
      })
      const results = await session.run(feeds)
      return graph.outputs.flatMap(({ name }) => {
        const tensor = results[name]
        return tensor === undefined ? [] : [asDense(tensor)]
      })
    },
    close: () => session.release(),
  }
}

const isDType = (name: string): name is DType => dtypes.some((dtype) => dtype === name)

const asDense = (tensor: ort.Tensor): Dense => {
  const { data, type, dims } = tensor
  if (!isDType(type)) throw new Error(`an output of type ${type}`)
  if (Array.isArray(data)) {
    const strings = data.map((text) => new TextEncoder().encode(String(text)))
    return { tag: 'Dense', dtype: 'string', shape: [...dims], bytes: new Uint8Array(), strings }
  }
  return dense(type, [...dims], new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
}
