/**
 * Runs pairs of models in ONNX Runtime on the same inputs and compares outputs bit for bit. The parent sends jobs, one
 * JSON line each; one JSON line with a verdict answers each.
 */
import { createInterface } from 'node:readline'
import { InferenceSession, Tensor } from 'onnxruntime-node'

const options = { logSeverityLevel: 4, intraOpNumThreads: 1, graphOptimizationLevel: 'basic' }

const arrays = {
  float32: Float32Array,
  float64: Float64Array,
  float16: Uint16Array,
  int8: Int8Array,
  uint8: Uint8Array,
  int16: Int16Array,
  uint16: Uint16Array,
  int32: Int32Array,
  uint32: Uint32Array,
  int64: BigInt64Array,
  uint64: BigUint64Array,
  bool: Uint8Array,
}

const tensorOf = ({ dtype, shape, base64, strings }) => {
  if (dtype === 'string') return new Tensor('string', strings, shape)
  const bytes = Uint8Array.from(Buffer.from(base64, 'base64'))
  return new Tensor(dtype, new arrays[dtype](bytes.buffer), shape)
}

const bitsOf = ({ type, dims, data }) =>
  `${type}[${dims}]:${Array.isArray(data) ? JSON.stringify(data) : Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64')}`

const run = async (path, inputs) => {
  const session = await InferenceSession.create(path, options)
  try {
    // Running a model with an optional output ends the process (onnxruntime-node 1.30, test_if_opt).
    if (![...session.inputMetadata, ...session.outputMetadata].every((one) => one.isTensor)) return 'not only tensors'
    const feeds = {}
    for (const [index, { name }] of session.inputMetadata.entries()) {
      if (inputs[index] === undefined) continue
      if (inputs[index].dtype !== 'string' && !arrays[inputs[index].dtype]) return `inputs of ${inputs[index].dtype}`
      feeds[name] = tensorOf(inputs[index])
    }
    const outputs = await session.run(feeds)
    const interface_ = JSON.stringify([session.inputMetadata, session.outputMetadata])
    return { interface_, bits: session.outputNames.map((name) => bitsOf(outputs[name])).join('\n') }
  } finally {
    await session.release()
  }
}

const attempt = async (path, inputs) => {
  try {
    return await run(path, inputs)
  } catch (thrown) {
    return String(thrown.message ?? thrown)
  }
}

const compare = async ({ original, candidate, inputs }) => {
  const before = await attempt(original, inputs)
  if (typeof before === 'string') {
    // What the runtime refuses of the original it must refuse of the copy too, so that nothing is skipped by mistake.
    const after = await attempt(candidate, inputs)
    return typeof after === 'string'
      ? { verdict: 'not runnable', why: before }
      : { verdict: 'runs only when rewritten' }
  }
  const after = await attempt(candidate, inputs)
  if (typeof after === 'string') return { verdict: 'fails when rewritten', why: after }
  if (after.interface_ !== before.interface_) {
    return { verdict: 'interface differs', why: `${before.interface_} / ${after.interface_}` }
  }
  return { verdict: after.bits === before.bits ? 'same' : 'outputs differ' }
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line)
  process.stdout.write(`${JSON.stringify({ name: job.name, ...(await compare(job)) })}\n`)
}
