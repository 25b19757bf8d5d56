/** A sample's outputs as ONNX Runtime computes them. */
import * as E from 'fp-ts/lib/Either.js'
import * as ort from 'onnxruntime-node'
import { lower } from '../../src/export/lower.ts'
import { type DType, dtypes } from '../../src/ir/dtype.ts'
import { renderError } from '../../src/ir/failure.ts'
import type { AnyOp } from '../../src/ir/registry.ts'
import { dense, type Dense } from '../../src/ir/tensor.ts'
import { graphOf, type Sample } from './helpers.ts'

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
  const session = await ort.InferenceSession.create(lowered.right.model, {
    graphOptimizationLevel: 'disabled',
    intraOpNumThreads: 1,
    logSeverityLevel: 4,
  })
  const results = await session.run({})
  await session.release()
  return graph.outputs.map(({ name }) => {
    const tensor = results[name]
    if (tensor === undefined) throw new Error(`${op.name}, ${s.label}: no output ${name}`)
    return asDense(tensor)
  })
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
