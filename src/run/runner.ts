/**
 * Runs ONNX models with ONNX Runtime in a process of their own: onnxruntime-node crashes on some valid models, and
 * a crash, a hang or a lack of memory there must not take the caller along.
 */
import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import * as E from 'fp-ts/lib/Either.js'
import type { Task } from 'fp-ts/lib/Task.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Choice, wrongOption } from '../ir/options.ts'
import type { Dense } from '../ir/tensor.ts'
import { type RunError, runError } from './error.ts'
import { chooseProvider, runtimeName } from './providers.ts'
import {
  type GraphOptimizationLevel,
  isCount,
  isLoaded,
  isTiming,
  isWireTensors,
  type Placement,
  type Provider,
  type Request,
  type RuntimeName,
  type Timing,
  type ValueInfo,
} from './protocol.ts'
import { runnerChoices } from './runner-choices.ts'
import type { Trouble, WorkerProcess } from './worker-process.ts'

/** A file of external tensor data: its name as the model spells it, and its content. */
export interface ExternalFile {
  readonly path: string
  readonly data: Uint8Array
}

/**
 * A model to run: a file, a folder with a `model.onnx` in it, or bytes. External data of a file is found beside it;
 * external data of bytes has to be given. `name` is what messages call it.
 */
export type ModelSource =
  | string
  | Uint8Array
  | { readonly path: string; readonly name?: string }
  | { readonly bytes: Uint8Array; readonly externalData?: ReadonlyArray<ExternalFile>; readonly name?: string }

/** Tensors by the name of the input or output they belong to, in the model's order. */
export type Tensors = ReadonlyMap<string, Dense>

export interface LoadOptions {
  /** How much ONNX Runtime rewrites the model; default: all it can. */
  readonly graphOptimizationLevel?: GraphOptimizationLevel
  /**
   * Sizes that symbolic dimensions of the model are fixed to, by name. The handle shows them. onnxruntime-node 1.30
   * itself ignores them when it optimises the model.
   */
  readonly freeDimensions?: Readonly<Record<string, number>>
}

export interface RunnerOptions extends LoadOptions {
  /** The package to run with; default: onnxruntime-node where it loads, else onnxruntime-web. */
  readonly runtime?: RuntimeName
  /** Where to run; default `cpu`. `auto` takes CUDA, then WebGPU if it beats the CPU, then the CPU. */
  readonly provider?: Provider | 'auto'
  /** Threads that one operator may use; default: ONNX Runtime's, one per core. */
  readonly threads?: number
  /** How long one request (load, run, time) may take, in seconds; default 300. */
  readonly timeoutSeconds?: number
  /** Whether CUDA may round float32 products to TF32, as ONNX Runtime does by default; default true. */
  readonly tf32?: boolean
  /** Another worker; for tests. */
  readonly worker?: URL
}

const optionChoices: Readonly<Record<keyof RunnerOptions, Choice>> = {
  ...runnerChoices,
  freeDimensions: 'any',
  tf32: 'any',
}

/** A model in the worker process, ready to run. */
export interface ModelHandle {
  readonly id: number
  /** What messages call it. */
  readonly name: string
  readonly inputs: ReadonlyArray<ValueInfo>
  readonly outputs: ReadonlyArray<ValueInfo>
  readonly placement: Placement
}

/** Inputs that lie in the worker process, ready to be timed. */
export interface PreparedInputs {
  readonly id: number
  readonly model: ModelHandle
}

export interface Runner {
  readonly provider: Provider
  /** Why this provider: it was named, or what spoke for it and against the others. */
  readonly why: string
  /** The package and its version: `onnxruntime-node 1.30.0`, `onnxruntime-web 1.30.0 (WebAssembly)`. */
  readonly runtime: string
  /** The worker process. */
  readonly pid: number
  /** Whether the worker process still runs; false after a crash, a timeout or `close`. */
  readonly alive: () => boolean
  /** Loads a model. Options left out are the runner's. */
  readonly load: (source: ModelSource, options?: LoadOptions) => TaskEither<RunError, ModelHandle>
  /** Runs a model once. Every output, in the model's order. */
  readonly run: (model: ModelHandle, feeds: Tensors) => TaskEither<RunError, Tensors>
  /** Moves inputs into the worker process, once for any number of timings. */
  readonly prepare: (model: ModelHandle, feeds: Tensors) => TaskEither<RunError, PreparedInputs>
  /** Runs a model `warmup` times untimed, then at least once and until `seconds` of running are measured. */
  readonly time: (
    inputs: PreparedInputs,
    how: { readonly warmup: number; readonly seconds: number },
  ) => TaskEither<RunError, Timing>
  readonly release: (model: ModelHandle) => TaskEither<RunError, void>
  /** Ends the worker process. Always call it: an open runner keeps the caller's process alive. */
  readonly close: Task<void>
}

/** Opens a runner, uses it, and closes it whatever happens. */
export const withRunner =
  <A, Other = never>(
    options: RunnerOptions,
    use: (runner: Runner) => Promise<E.Either<RunError | Other, A>>,
  ): TaskEither<RunError | Other, A> =>
  async () => {
    const opened = await openRunner(options)()
    if (E.isLeft(opened)) return opened
    try {
      return await use(opened.right)
    } finally {
      await opened.right.close()
    }
  }

interface Located {
  readonly name: string
  readonly model: string | Uint8Array
  readonly externalData: ReadonlyArray<ExternalFile>
}

/** Finds the file of a source, or its bytes. */
const locate = (source: ModelSource): E.Either<RunError, Located> => {
  if (source instanceof Uint8Array)
    return E.right({ name: 'the model given as bytes', model: source, externalData: [] })
  if (typeof source !== 'string' && 'bytes' in source) {
    return E.right({
      name: source.name ?? 'the model given as bytes',
      model: source.bytes,
      externalData: source.externalData ?? [],
    })
  }
  const given = typeof source === 'string' ? source : source.path
  const name = (typeof source === 'string' ? undefined : source.name) ?? given
  const missing = (path: string, found: string): E.Either<RunError, Located> =>
    E.left(runError(path, 'an ONNX file, or a folder with a model.onnx in it', found, 'Check the path.'))
  const stats = statSync(given, { throwIfNoEntry: false })
  if (stats === undefined) return missing(given, 'no such file')
  if (!stats.isDirectory()) return E.right({ name, model: resolve(given), externalData: [] })
  const inside = join(given, 'model.onnx')
  return statSync(inside, { throwIfNoEntry: false }) === undefined
    ? missing(given, 'a folder without one')
    : E.right({ name, model: resolve(inside), externalData: [] })
}

/** Bytes that one message carries to the worker; larger ones would be copied again and again on arrival. */
const chunkBytes = 1 << 24

const defaultTimeout = 300

const checkOptions = (options: RunnerOptions): E.Either<RunError, RunnerOptions> => {
  const wrong = wrongOption('RunError', options, optionChoices)
  if (wrong !== undefined) return E.left(wrong)
  const { threads, timeoutSeconds } = options
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    return E.left(
      runError('threads', 'a whole number from 1 to 1024', String(threads), 'Leave it out for the default.'),
    )
  }
  if (timeoutSeconds !== undefined && !(timeoutSeconds > 0 && timeoutSeconds <= 2_000_000)) {
    return E.left(
      runError('timeoutSeconds', 'a positive number of seconds', String(timeoutSeconds), 'Leave it out for 300.'),
    )
  }
  return E.right(options)
}

/** The error of a request about `subject`; `expected` and `help` say what was asked of it when it was refused. */
const fromTrouble = (
  trouble: Trouble,
  subject: string,
  doing: string,
  expected: string,
  help: string,
  timeout: number,
): RunError => {
  switch (trouble.kind) {
    case 'missing':
      return runError('ONNX Runtime', 'the package to be installed', trouble.message, help)
    case 'unsupported':
      return runError(
        subject,
        'inputs and outputs that are tensors of float, integer, bool or string elements',
        trouble.message,
        'ONNX Runtime cannot pass it to or from JavaScript: cast it, or make it internal to the model.',
      )
    case 'timeout':
      return runError(
        subject,
        `an answer within ${timeout} s while ${doing}`,
        trouble.message,
        'Give it more time, or smaller inputs.',
      )
    case 'died':
      return runError(
        subject,
        `ONNX Runtime to survive ${doing}`,
        trouble.message,
        'The model may trigger a bug of ONNX Runtime or need more memory than there is: try smaller inputs, another provider, or graph optimisations switched off.',
      )
    case 'refused':
      return runError(subject, expected, trouble.message, help)
  }
}

/**
 * Starts a worker process and decides where models will run.
 *
 * Errors: ONNX Runtime is not installed, a named provider does not work here (and what to install), an option is
 * out of range.
 */
export const openRunner =
  (options: RunnerOptions = {}): TaskEither<RunError, Runner> =>
  async () => {
    const checked = checkOptions(options)
    if (E.isLeft(checked)) return checked
    const opened = await chooseProvider(options.provider ?? 'cpu', options)
    if (E.isLeft(opened)) return opened
    const { worker, provider, why, hello } = opened.right
    return E.right(runnerOn(worker, provider, why, runtimeName(hello), options))
  }

const loadHelp = (message: string): string => {
  if (/external/i.test(message)) {
    return 'Its weights lie in another file: keep that file beside the model, or give it as external data.'
  }
  if (message.includes('data field count (0)')) return 'The file holds no weights: export the model with them.'
  return 'Check that the file is a complete ONNX model and that its opset is one ONNX Runtime knows.'
}

const runnerOn = (
  worker: WorkerProcess,
  provider: Provider,
  why: string,
  runtime: string,
  defaults: RunnerOptions,
): Runner => {
  const timeout = defaults.timeoutSeconds ?? defaultTimeout
  let nextUpload = 1

  const upload = async (bytes: Uint8Array): Promise<E.Either<Trouble, number>> => {
    const key = nextUpload++
    const total = bytes.byteLength
    for (let offset = 0; offset === 0 || offset < total; offset += chunkBytes) {
      const piece = bytes.subarray(offset, offset + chunkBytes)
      const sent = await worker.ask({ kind: 'chunk', upload: key, total, offset, bytes: piece }, timeout)
      if (E.isLeft(sent)) return sent
    }
    return E.right(key)
  }

  const load =
    (source: ModelSource, options: LoadOptions = {}): TaskEither<RunError, ModelHandle> =>
    async () => {
      const located = locate(source)
      if (E.isLeft(located)) return located
      const { name, model, externalData } = located.right
      const left = (trouble: Trouble): E.Either<RunError, never> =>
        E.left(
          fromTrouble(
            trouble,
            name,
            'loading it',
            `a model that ${runtime} can load`,
            loadHelp(trouble.message),
            timeout,
          ),
        )
      const uploaded = typeof model === 'string' ? E.right(model) : await upload(model)
      if (E.isLeft(uploaded)) return left(uploaded.left)
      const files: Array<{ readonly path: string; readonly upload: number }> = []
      for (const file of externalData) {
        const sent = await upload(file.data)
        if (E.isLeft(sent)) return left(sent.left)
        files.push({ path: file.path, upload: sent.right })
      }
      const level = options.graphOptimizationLevel ?? defaults.graphOptimizationLevel
      const freeDimensions = options.freeDimensions ?? defaults.freeDimensions
      const answer = await worker.ask(
        {
          kind: 'load',
          model: uploaded.right,
          externalData: files,
          options: {
            provider,
            ...(defaults.threads === undefined ? {} : { threads: defaults.threads }),
            ...(level === undefined ? {} : { graphOptimizationLevel: level }),
            ...(freeDimensions === undefined ? {} : { freeDimensions }),
          },
        },
        timeout,
      )
      if (E.isLeft(answer)) return left(answer.left)
      const loaded = answer.right
      if (!isLoaded(loaded)) return left(garbled)
      if (loaded.placement.onProvider === 0 && defaults.provider !== 'auto') {
        await worker.ask({ kind: 'release', model: loaded.model }, timeout)
        return E.left(
          runError(
            name,
            `nodes that the ${provider} provider can run`,
            `all of them on the CPU${loaded.placement.onCpu.map((op) => ` ${op}`).join(',')}`,
            'Run it with the provider cpu.',
          ),
        )
      }
      const { inputs, outputs, placement } = loaded
      return E.right({ id: loaded.model, name, inputs, outputs, placement })
    }

  const send = async <A>(
    model: ModelHandle,
    request: Request,
    isAnswer: (x: unknown) => x is A,
    seconds = timeout,
  ): Promise<E.Either<RunError, A>> => {
    const answer = await worker.ask(request, seconds)
    if (E.isRight(answer) && isAnswer(answer.right)) return E.right(answer.right)
    return E.left(
      fromTrouble(
        E.isLeft(answer) ? answer.left : garbled,
        model.name,
        'running it',
        'a model that runs on these inputs',
        'Check the names, types and shapes of the inputs.',
        seconds,
      ),
    )
  }

  return {
    provider,
    why,
    runtime,
    pid: worker.pid,
    alive: worker.alive,
    load,
    run: (model, feeds) => async () => {
      const answer = await send(model, { kind: 'run', model: model.id, feeds: [...feeds] }, isWireTensors)
      return E.isLeft(answer) ? answer : E.right(new Map(answer.right))
    },
    prepare: (model, feeds) => async () => {
      const answer = await send(model, { kind: 'prepare', model: model.id, feeds: [...feeds] }, isCount)
      return E.isLeft(answer) ? answer : E.right({ id: answer.right, model })
    },
    time:
      ({ id, model }, { warmup, seconds }) =>
      () =>
        send(model, { kind: 'time', prepared: id, warmup, seconds }, isTiming, timeout + seconds),
    release: (model) => async () => {
      const answer = await send(model, { kind: 'release', model: model.id }, (x): x is null => x === null)
      return E.isLeft(answer) ? answer : E.right(undefined)
    },
    close: worker.close,
  }
}

const garbled: Trouble = {
  kind: 'died',
  message: 'an answer that makes no sense: the worker in dist is of another version',
}
