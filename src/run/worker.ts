/**
 * The process that ONNX Runtime lives in. It is started by {@link ../run/runner.ts | openRunner}, answers one message
 * at a time, and may die: its parent turns that into an error. Nothing else in chasec loads ONNX Runtime.
 */
import { fstatSync, readSync } from 'node:fs'
import * as E from 'fp-ts/lib/Either.js'
import type { InferenceSession, Tensor } from 'onnxruntime-web'
import { dtypes } from '../ir/dtype.ts'
import { probeInput, probeModel, probeSize } from './probe-model.ts'
import {
  isEnvelope,
  type Hello,
  type Loaded,
  type Placement,
  type Probe,
  type ProblemKind,
  protocolVersion,
  type Provider,
  type Reply,
  type Request,
  type RuntimeName,
  type Timing,
  type WireSessionOptions,
  type WireTensors,
} from './protocol.ts'
import { openNative } from './runtime/native.ts'
import type { Runtime, SessionOptions } from './runtime/runtime.ts'
import { toDense, toTensor, valueInfo } from './runtime/tensors.ts'
import { openWebAssembly } from './runtime/web-assembly.ts'

/** A refusal on its way to the parent. */
interface Problem {
  readonly problem: ProblemKind
  readonly message: string
}

const problem = (kind: ProblemKind, message: string): Problem => ({ problem: kind, message })

const isProblem = (x: unknown): x is Problem => typeof x === 'object' && x !== null && 'problem' in x

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

let loadedRuntime: Runtime | undefined

const openers: Readonly<Record<RuntimeName, () => Promise<Runtime>>> = {
  'onnxruntime-node': openNative,
  'onnxruntime-web': openWebAssembly,
}

const openRuntime = async (names: ReadonlyArray<RuntimeName>): Promise<Runtime> => {
  // Where JavaScript has a Float16Array (Node 24), onnxruntime-node 1.30 makes its tensors of it but cannot read them.
  Reflect.deleteProperty(globalThis, 'Float16Array')
  const reasons: string[] = []
  for (const name of names) {
    try {
      return await openers[name]()
    } catch (error) {
      reasons.push(messageOf(error).replace(/^Cannot find package '([^']+)' imported from .*$/s, '$1 is not installed'))
    }
  }
  throw problem('missing', reasons.join('; '))
}

const runtime = (): Runtime => {
  if (loadedRuntime === undefined) throw problem('refused', 'no runtime was asked for')
  return loadedRuntime
}

interface Upload {
  readonly bytes: Uint8Array
}

interface Model {
  readonly session: InferenceSession
  readonly outputs: ReadonlyArray<string>
}

interface Prepared {
  readonly session: InferenceSession
  readonly feeds: Readonly<Record<string, Tensor>>
}

const uploads = new Map<number, Upload>()
const models = new Map<number, Model>()
const prepared = new Map<number, Prepared>()
let nextKey = 1

const find = <A>(table: ReadonlyMap<number, A>, key: number, what: string): A => {
  const found = table.get(key)
  if (found === undefined) throw problem('refused', `there is no ${what} ${key}; it was released`)
  return found
}

/** What came of something, or a refusal of what the runtime cannot move. */
const supported = <A>(result: E.Either<string, A>): A => {
  if (E.isLeft(result)) throw problem('unsupported', result.left)
  return result.right
}

const toFeeds = (feeds: WireTensors): Readonly<Record<string, Tensor>> =>
  Object.fromEntries(feeds.map(([name, tensor]) => [name, supported(toTensor(runtime(), name, tensor))]))

/** Threads of a session that has ended a run do not look for work, which would take time of other sessions. */
const quiet = { force_spinning_stop: '1' } as const

const sessionOptions = (options: WireSessionOptions): SessionOptions => ({
  logSeverityLevel: 3,
  extra: { session: quiet },
  ...(options.threads === undefined ? {} : { intraOpNumThreads: options.threads }),
  ...(options.graphOptimizationLevel === undefined ? {} : { graphOptimizationLevel: options.graphOptimizationLevel }),
  ...(options.freeDimensions === undefined ? {} : { freeDimensionOverrides: options.freeDimensions }),
})

/** Makes ONNX Runtime refuse a session of which any node would run on the CPU. */
const withoutFallback = { extra: { session: { ...quiet, disable_cpu_ep_fallback: '1' } } } as const

/** Size of what this process has written to its log so far; undefined when the log is not a file. */
const logSize = (): number | undefined => {
  const stats = fstatSync(2)
  return stats.isFile() ? stats.size : undefined
}

const logSince = (start: number): string => {
  const buffer = Buffer.alloc(Math.max(0, (logSize() ?? start) - start))
  const length = readSync(2, buffer, 0, buffer.length, start)
  return buffer.toString('utf8', 0, length)
}

const providerNames = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  webgpu: 'WebGpuExecutionProvider',
} as const

/** Reads the node placements that ONNX Runtime writes to its verbose log. Copies between devices do not count. */
const placementIn = (log: string, provider: Provider): Placement => {
  const onCpu = new Set<string>()
  let current = ''
  let onProvider = 0
  for (const line of log.split('\n')) {
    if (!line.includes('VerifyEachNodeIsAssignedToAnEp]')) continue
    const all = /All nodes placed on \[(\w+)\]\. Number of nodes: (\d+)/.exec(line)
    if (all) {
      if (all[1] === providerNames[provider]) return { onCpu: [] }
      continue
    }
    const section = /Node\(s\) placed on \[(\w+)\]/.exec(line)
    if (section) {
      current = section[1] ?? ''
      continue
    }
    const node = /\]\s+(\S+) \(.*\)\s*$/.exec(line)
    const op = node?.[1]
    if (op === undefined || op.startsWith('Memcpy')) continue
    if (current === providerNames[provider]) onProvider += 1
    else if (current !== '') onCpu.add(op)
  }
  return { onProvider, onCpu: [...onCpu].sort() }
}

/**
 * Creates a session. On an accelerator: first one that may not fall back to the CPU; if ONNX Runtime refuses that, a
 * verbose one to learn which nodes go where, and a quiet one to use.
 */
const createSession = async (
  create: (options: SessionOptions) => Promise<InferenceSession>,
  wire: WireSessionOptions,
): Promise<{ readonly session: InferenceSession; readonly placement: Placement }> => {
  const options = sessionOptions(wire)
  if (wire.provider === 'cpu') return { session: await create(options), placement: { onCpu: [] } }
  try {
    return { session: await create({ ...options, ...withoutFallback }), placement: { onCpu: [] } }
  } catch (error) {
    if (!messageOf(error).includes('explicitly disabled')) throw error
  }
  const start = logSize()
  const verbose = await create({ ...options, logSeverityLevel: 0 })
  await verbose.release()
  const placement = placementIn(start === undefined ? '' : logSince(start), wire.provider)
  return { session: await create(options), placement }
}

const load = async (request: Extract<Request, { kind: 'load' }>): Promise<Loaded> => {
  const externalData = request.externalData.map(({ path, upload }) => ({
    path,
    data: find(uploads, upload, 'upload').bytes,
  }))
  const source = typeof request.model === 'string' ? request.model : find(uploads, request.model, 'upload').bytes
  const create = (options: SessionOptions): Promise<InferenceSession> => {
    const all = externalData.length === 0 ? options : { ...options, externalData }
    return runtime().create(source, request.options.provider, all)
  }
  const { session, placement } = await createSession(create, request.options).catch((error: unknown) => {
    // Element types by ONNX's numbers, which start at 1; onnxruntime-node knows fewer than ONNX Runtime.
    const type = /Unsupported data type: (\d+)/i.exec(messageOf(error))?.[1]
    if (type === undefined) throw error
    throw problem('unsupported', `an input or output of type ${dtypes[Number(type) - 1] ?? type}`)
  })
  if (typeof request.model === 'number') uploads.delete(request.model)
  for (const { upload } of request.externalData) uploads.delete(upload)
  const inputs = session.inputMetadata.map((x) => supported(valueInfo('input', x, request.options.freeDimensions)))
  const outputs = session.outputMetadata.map((x) => supported(valueInfo('output', x, request.options.freeDimensions)))
  const model = nextKey++
  models.set(model, { session, outputs: session.outputNames })
  return { model, inputs, outputs, placement }
}

const run = async (request: Extract<Request, { kind: 'run' }>): Promise<WireTensors> => {
  const { session, outputs } = find(models, request.model, 'model')
  const results = await session.run(toFeeds(request.feeds))
  return outputs.map((name) => {
    const tensor = results[name]
    if (tensor === undefined) throw problem('refused', `no output '${name}' came back`)
    return [name, supported(toDense(name, tensor, tensor.data))] as const
  })
}

const prepare = async (request: Extract<Request, { kind: 'prepare' }>): Promise<number> => {
  const { session } = find(models, request.model, 'model')
  const key = nextKey++
  prepared.set(key, { session, feeds: toFeeds(request.feeds) })
  return key
}

const time = async (request: Extract<Request, { kind: 'time' }>): Promise<Timing> => {
  const { session, feeds } = find(prepared, request.prepared, 'prepared input')
  for (let i = 0; i < request.warmup; i++) await session.run(feeds)
  let iterations = 0
  let milliseconds = 0
  do {
    const start = performance.now()
    await session.run(feeds)
    milliseconds += performance.now() - start
    iterations += 1
  } while (milliseconds < request.seconds * 1000)
  return { iterations, milliseconds }
}

const probe = async (provider: Provider, timed: boolean): Promise<Probe> => {
  const { Tensor, create } = runtime()
  const options = { ...sessionOptions({ provider }), ...(provider === 'cpu' ? {} : withoutFallback) }
  const session = await create(probeModel(), provider, options)
  const feeds = { x: new Tensor('float32', probeInput(), [probeSize, probeSize]) }
  let output: unknown = (await session.run(feeds))['y']?.data
  let milliseconds = timed ? Infinity : 0
  let total = 0
  for (let i = 0; timed && i < 3 && total < 100; i++) {
    const start = performance.now()
    output = (await session.run(feeds))['y']?.data
    const elapsed = performance.now() - start
    milliseconds = Math.min(milliseconds, elapsed)
    total += elapsed
  }
  await session.release()
  if (!(output instanceof Float32Array)) throw problem('refused', 'the probe model gave no float32 output')
  return { milliseconds, output }
}

const hello = async (names: ReadonlyArray<RuntimeName>): Promise<Hello> => {
  loadedRuntime = await openRuntime(names)
  const { name, version, backends } = loadedRuntime
  return { protocol: protocolVersion, runtime: name, version, backends }
}

const chunk = (request: Extract<Request, { kind: 'chunk' }>): null => {
  const upload = uploads.get(request.upload) ?? { bytes: new Uint8Array(request.total) }
  uploads.set(request.upload, upload)
  upload.bytes.set(request.bytes, request.offset)
  return null
}

const release = async (key: number): Promise<null> => {
  const model = models.get(key)
  models.delete(key)
  if (model) {
    for (const [slot, { session }] of prepared) if (session === model.session) prepared.delete(slot)
    await model.session.release()
  }
  return null
}

const answer = async (request: Request): Promise<unknown> => {
  switch (request.kind) {
    case 'hello':
      return hello(request.runtimes)
    case 'probe':
      return probe(request.provider, request.timed)
    case 'chunk':
      return chunk(request)
    case 'load':
      return load(request)
    case 'run':
      return run(request)
    case 'prepare':
      return prepare(request)
    case 'time':
      return time(request)
    case 'release':
      return release(request.model)
  }
}

const send = (reply: Reply): void => {
  process.send?.(reply)
}

let queue: Promise<void> = Promise.resolve()

process.on('message', (message: unknown) => {
  if (!isEnvelope(message)) return
  const { id, request } = message
  queue = queue.then(() =>
    answer(request).then(
      (value) => send({ id, ok: true, value }),
      (error: unknown) =>
        send(
          isProblem(error)
            ? { id, ok: false, kind: error.problem, message: error.message }
            : { id, ok: false, kind: 'refused', message: messageOf(error) },
        ),
    ),
  )
})

process.on('disconnect', () => process.exit(0))
