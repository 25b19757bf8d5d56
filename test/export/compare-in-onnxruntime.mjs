/**
 * Runs pairs of models in ONNX Runtime on the same inputs and compares outputs bit for bit, or floats to the `tolerance`
 * of the job, relative to the largest of the output. The parent sends jobs, one JSON line each; one JSON line with a
 * verdict answers each.
 */
import { Buffer } from 'node:buffer'
import process from 'node:process'
import { createInterface } from 'node:readline'
import { InferenceSession, Tensor } from 'onnxruntime-node'

// Where JavaScript has a Float16Array (Node 24), onnxruntime-node 1.30 makes its tensors of it but cannot read them.
Reflect.deleteProperty(globalThis, 'Float16Array')

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

/** Floats as numbers; undefined for what has to be equal bit for bit. */
const floatsOf = ({ type, data }) => (type === 'float32' || type === 'float64' ? data : undefined)

const isClose = (before, after, tolerance) => {
  const [a, b] = [floatsOf(before), floatsOf(after)]
  if (tolerance === 0 || a === undefined || b === undefined || String(before.dims) !== String(after.dims)) {
    return bitsOf(before) === bitsOf(after)
  }
  const scale = a.reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0)
  return a.every((x, i) => Object.is(x, b[i]) || Math.abs(x - b[i]) <= tolerance * scale)
}

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
    const interface_ = [session.inputMetadata, session.outputMetadata]
    return { interface_, outputs: session.outputNames.map((name) => outputs[name]) }
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

/**
 * An interface as the runtime tells it, without sizes of outputs that `original` leaves open and does not name: of operators that it
 * does not look through, like those of sequences, it knows fewer sizes than of what they become.
 */
const told = ([inputs, outputs], [, original]) => {
  const isOpen = (output, axis) => original[output]?.shape?.[axis] === ''
  const shapeOf = ({ shape }, output) => shape?.map((size, axis) => (isOpen(output, axis) ? '' : size))
  return JSON.stringify([inputs, outputs.map((one, output) => ({ ...one, shape: shapeOf(one, output) }))])
}

const compare = async ({ original, candidate, inputs, tolerance }) => {
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
  const [was, is] = [before, after].map(({ interface_ }) => told(interface_, before.interface_))
  if (is !== was) return { verdict: 'interface differs', why: `${was} / ${is}` }
  const same = before.outputs.every((output, i) => isClose(output, after.outputs[i], tolerance))
  return { verdict: same ? 'same' : 'outputs differ' }
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line)
  process.stdout.write(`${JSON.stringify({ name: job.name, ...(await compare(job)) })}\n`)
}
