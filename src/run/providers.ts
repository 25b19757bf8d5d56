/** Which execution providers of ONNX Runtime work on this machine, and the choice among them. */
import * as E from 'fp-ts/lib/Either.js'
import type { Task } from 'fp-ts/lib/Task.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { cleanMessage, type RunError, runError } from './error.ts'
import {
  type Hello,
  isHello,
  isProbe,
  type Probe,
  protocolVersion,
  type Provider,
  type RuntimeName,
  runtimeNames,
} from './protocol.ts'
import { cudaHelp } from './runtime/cuda.ts'
import { builtWorker, startWorker, type Trouble, type WorkerProcess } from './worker-process.ts'

/** Whether a provider works here, by running a small model on it. */
export interface ProviderReport {
  readonly provider: Provider
  readonly usable: boolean
  /** One run of the probe (three 512 × 512 matrix products), when it is usable. */
  readonly milliseconds?: number
  /** Why it is not usable. */
  readonly reason?: string
  /** What to install, when it is not usable. */
  readonly help?: string
}

export interface ProviderOptions {
  /** The package to run models with; default: onnxruntime-node where it loads, else onnxruntime-web. */
  readonly runtime?: RuntimeName
  readonly tf32?: boolean
  readonly worker?: URL
}

/** One of the packages that ONNX Runtime comes in, by running a small model on its CPU. */
export interface RuntimeReport {
  readonly runtime: RuntimeName
  readonly usable: boolean
  readonly version?: string
  /** One run of the probe, when it is usable. */
  readonly milliseconds?: number
  /** Why it is not usable, and what to install. */
  readonly reason?: string
  readonly help?: string
}

const runtimeHelp: Readonly<Record<RuntimeName, string>> = {
  'onnxruntime-node':
    'For faster runs: `npm install --ignore-scripts onnxruntime-node`. The CPU and WebGPU providers are in that package; its ' +
    'install script only fetches the CUDA provider, from another host than the npm registry.',
  'onnxruntime-web': 'Run `npm install onnxruntime-web`.',
}

/** What to do where a provider does not work, for a reason that ONNX Runtime gave. */
const installHelp: Readonly<Record<Provider, (reason: string) => string>> = {
  cpu: () => 'Reinstall onnxruntime-web.',
  cuda: (reason) => cudaHelp(reason),
  webgpu: () =>
    'Install a graphics driver with Vulkan (Debian: libvulkan1 and mesa-vulkan-drivers or the driver of your GPU); ' +
    'VK_DRIVER_FILES can name its ICD file. Windows and macOS need only their usual graphics driver.',
}

export const helpFor = {
  missingPackage: (wanted: ReadonlyArray<RuntimeName>, found: string): RunError => {
    const help = runtimeHelp[wanted.at(-1) ?? 'onnxruntime-web']
    return runError(wanted.join(' or '), 'the package to be installed', found, help)
  },
  provider: (provider: Provider, reason: string, help = installHelp[provider](reason)): RunError =>
    runError(`provider ${provider}`, 'a provider that works on this machine', reason, help),
} as const

/** `onnxruntime-node 1.30.0` or `onnxruntime-web 1.30.0 (WebAssembly)` */
export const runtimeName = ({ runtime, version }: Hello): string =>
  `${runtime} ${version}${runtime === 'onnxruntime-web' ? ' (WebAssembly)' : ''}`

/** Starting, finding devices and compiling shaders may take this long. */
const startSeconds = 120

interface Started {
  readonly worker: WorkerProcess
  readonly hello: Hello
}

const start = async (options: ProviderOptions): Promise<E.Either<RunError, Started>> => {
  const wanted = options.runtime === undefined ? runtimeNames : [options.runtime]
  const started = await startWith(wanted, options)
  // One that ends the process when it is loaded is passed over like one that is missing.
  return E.isLeft(started) && started.left.died && wanted.length > 1
    ? E.mapLeft(errorOf)(await startWith(wanted.slice(1), options))
    : E.mapLeft(errorOf)(started)
}

interface FailedStart {
  readonly died: boolean
  readonly error: RunError
}

const errorOf = ({ error }: FailedStart): RunError => error

const failed = (error: RunError, died = false): E.Either<FailedStart, never> => E.left({ died, error })

const startWith = async (
  runtimes: ReadonlyArray<RuntimeName>,
  options: ProviderOptions,
): Promise<E.Either<FailedStart, Started>> => {
  // The environment variable is NVIDIA's: its libraries then compute float32 products in float32.
  const env: Readonly<Record<string, string>> = options.tf32 === false ? { NVIDIA_TF32_OVERRIDE: '0' } : {}
  const started = startWorker(options.worker ?? builtWorker, env)
  if (E.isLeft(started)) return failed(started.left)
  const worker = started.right
  const answer = await worker.ask({ kind: 'hello', runtimes }, startSeconds)
  if (E.isRight(answer) && isHello(answer.right) && answer.right.protocol === protocolVersion) {
    return E.right({ worker, hello: answer.right })
  }
  await worker.close()
  if (E.isLeft(answer)) {
    const { kind, message } = answer.left
    if (kind === 'missing') return failed(helpFor.missingPackage(runtimes, message))
    return failed(
      runError(runtimes.join(' or '), 'ONNX Runtime to start', message, installHelp.cpu(message)),
      kind === 'died',
    )
  }
  return failed(
    runError('the worker of src/run', `protocol ${protocolVersion}`, 'another one', 'Run `npm run build` again.'),
  )
}

/** The one line of the log that says which library or device is missing. */
const cause = (log: string): string | undefined => {
  const missing = /with error: (.+)/.exec(log) ?? /Couldn't load (.+)/.exec(log) ?? /(CUDA failure \d+: .+)/.exec(log)
  return missing?.[1] === undefined ? undefined : cleanMessage(missing[1])
}

const explain = (trouble: Trouble, log: string): string => {
  const found = cause(log)
  return found === undefined || trouble.message.includes(found) ? trouble.message : `${trouble.message} (${found})`
}

interface Unusable {
  readonly reason: string
  readonly help: string
}

const probeOn = async (
  { worker, hello }: Started,
  provider: Provider,
  timed: boolean,
): Promise<E.Either<Unusable, Probe>> => {
  if (!hello.backends.includes(provider)) {
    const reason = `only ${hello.backends.join(', ')} in ${runtimeName(hello)}`
    return E.left({
      reason,
      help:
        hello.runtime === 'onnxruntime-web'
          ? 'It takes onnxruntime-node: `npm install --ignore-scripts onnxruntime-node`.'
          : installHelp[provider](reason),
    })
  }
  const answer = await worker.ask({ kind: 'probe', provider, timed }, startSeconds)
  const reason = E.isLeft(answer) ? explain(answer.left, worker.log()) : 'an answer that makes no sense'
  return E.isRight(answer) && isProbe(answer.right)
    ? E.right(answer.right)
    : E.left({ reason, help: installHelp[provider](reason) })
}

/** Largest difference, relative to the largest value, that a provider's products may show; TF32 stays below. */
const probeTolerance = 1e-2

const wrongProducts = 'matrix products that differ from those of the CPU'

const agree = (a: Float32Array, b: Float32Array): boolean => {
  let delta = 0
  let size = 0
  for (let i = 0; i < a.length; i++) {
    delta = Math.max(delta, Math.abs((a[i] ?? NaN) - (b[i] ?? NaN)))
    size = Math.max(size, Math.abs(b[i] ?? NaN))
  }
  return a.length === b.length && size > 0 && delta <= probeTolerance * size
}

interface Probed {
  readonly report: ProviderReport
  readonly output?: Float32Array
}

/** Probes one provider in a process of its own: a driver that crashes is then one that does not work. */
const probeAlone = async (provider: Provider, options: ProviderOptions): Promise<E.Either<RunError, Probed>> => {
  const started = await start(options)
  if (E.isLeft(started)) return started
  const probe = await probeOn(started.right, provider, true)
  await started.right.worker.close()
  if (E.isLeft(probe)) {
    return E.right({ report: { provider, usable: false, ...probe.left } })
  }
  const { milliseconds, output } = probe.right
  return E.right({ report: { provider, usable: true, milliseconds }, output })
}

/**
 * Tries every provider by running a small model on it that may not fall back to the CPU, and compares the results with
 * the CPU's. One report per provider, best first: cuda, webgpu, cpu.
 *
 * Errors: ONNX Runtime is not installed or does not start.
 */
export const providers =
  (options: ProviderOptions = {}): TaskEither<RunError, ReadonlyArray<ProviderReport>> =>
  async () => {
    const cpu = await probeAlone('cpu', options)
    if (E.isLeft(cpu)) return cpu
    const expected = cpu.right.output
    const reports: ProviderReport[] = []
    for (const provider of ['cuda', 'webgpu'] as const) {
      const probed = await probeAlone(provider, options)
      if (E.isLeft(probed)) return probed
      const { report, output } = probed.right
      const wrong = output !== undefined && expected !== undefined && !agree(output, expected)
      reports.push(
        wrong ? { provider, usable: false, reason: wrongProducts, help: installHelp[provider](wrongProducts) } : report,
      )
    }
    return E.right([...reports, cpu.right.report])
  }

/** Tries each of the packages that ONNX Runtime comes in, the one to be preferred first. */
export const runtimes =
  (options: Omit<ProviderOptions, 'runtime'> = {}): Task<ReadonlyArray<RuntimeReport>> =>
  async () => {
    const reports: RuntimeReport[] = []
    for (const runtime of runtimeNames) reports.push(await probeRuntime(runtime, options))
    return reports
  }

const probeRuntime = async (runtime: RuntimeName, options: ProviderOptions): Promise<RuntimeReport> => {
  const started = await start({ ...options, runtime })
  const help = runtimeHelp[runtime]
  if (E.isLeft(started)) return { runtime, usable: false, reason: started.left.found, help }
  const probe = await probeOn(started.right, 'cpu', true)
  await started.right.worker.close()
  const { version } = started.right.hello
  if (E.isLeft(probe)) return { runtime, usable: false, version, reason: probe.left.reason, help }
  return { runtime, usable: true, version, milliseconds: probe.right.milliseconds }
}

const time = (report: ProviderReport): string => `${(report.milliseconds ?? 0).toFixed(1)} ms`

/** Which of the reported providers `auto` means, and what spoke for and against each. */
export const pickProvider = (
  reports: ReadonlyArray<ProviderReport>,
): { readonly provider: Provider; readonly why: string } => {
  const cpu = reports.find((r) => r.provider === 'cpu')
  const against: string[] = []
  for (const report of reports) {
    if (report.provider === 'cpu') continue
    if (!report.usable) {
      against.push(`${report.provider} is not usable: ${report.reason ?? 'it does not work'}`)
      continue
    }
    const faster = (report.milliseconds ?? Infinity) < (cpu?.milliseconds ?? Infinity)
    if (report.provider === 'cuda' || faster) {
      return { provider: report.provider, why: [`${report.provider} works here`, ...against].join('; ') }
    }
    against.push(
      `${report.provider} works but is slower than the CPU (${time(report)} against ${cpu ? time(cpu) : '?'}), ` +
        'as software drivers are',
    )
  }
  return { provider: 'cpu', why: against.join('; ') || 'there is no other' }
}

interface Chosen extends Started {
  readonly provider: Provider
  readonly why: string
}

/** A started worker for the provider asked for. A named accelerator is probed first: it never falls back silently. */
export const chooseProvider = async (
  wanted: Provider | 'auto',
  options: ProviderOptions,
): Promise<E.Either<RunError, Chosen>> => {
  const reports = wanted === 'auto' ? await providers(options)() : E.right([])
  if (E.isLeft(reports)) return reports
  const { provider, why } =
    wanted === 'auto' ? pickProvider(reports.right) : { provider: wanted, why: `${wanted} was asked for` }
  const started = await start(options)
  if (E.isLeft(started)) return started
  if (wanted !== 'auto' && wanted !== 'cpu') {
    const probe = await probeOn(started.right, wanted, false)
    const cpu = E.isLeft(probe) ? probe : await probeOn(started.right, 'cpu', false)
    const right = E.isRight(probe) && E.isRight(cpu) && agree(probe.right.output, cpu.right.output)
    if (!right) {
      await started.right.worker.close()
      return E.left(
        E.isLeft(cpu)
          ? helpFor.provider(wanted, cpu.left.reason, cpu.left.help)
          : helpFor.provider(wanted, wrongProducts),
      )
    }
  }
  return E.right({ ...started.right, provider, why })
}

/** Whether models can be run on the provider asked for; of `auto`, whether they can be run at all. */
export const checkProvider =
  (wanted: Provider | 'auto', options: ProviderOptions = {}): TaskEither<RunError, undefined> =>
  async () => {
    const chosen = await chooseProvider(wanted === 'auto' ? 'cpu' : wanted, options)
    if (E.isLeft(chosen)) return chosen
    await chosen.right.worker.close()
    return E.right(undefined)
  }
