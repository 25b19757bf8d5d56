/** How fast models run. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import { type Choice, wrongOption } from '../ir/options.ts'
import type { Dense } from '../ir/tensor.ts'
import { acceptedSizes } from './accept.ts'
import { type RunError, runError } from './error.ts'
import { batchDims, type Bindings, sizeChoices, type Sizes } from './inputs.ts'
import type { OnProgress } from './progress.ts'
import type { GraphOptimizationLevel, Placement, Provider, RuntimeName } from './protocol.ts'
import { runnerChoices } from './runner-choices.ts'
import {
  type ModelHandle,
  type ModelSource,
  type PreparedInputs,
  type Runner,
  type Tensors,
  withRunner,
} from './runner.ts'
import { type Quartiles, quartiles } from './statistics.ts'

export interface MeasureOptions {
  /** Where the models run; default `cpu`. */
  readonly provider?: Provider | 'auto'
  /** Items per run: the size of the first axis where the model leaves it open; default 1. */
  readonly batch?: number
  /** Sizes that the user fixes. */
  readonly sizes?: Bindings
  /** Inputs of all models instead of seeded ones; they say the sizes and the batch, which must not be given as well. */
  readonly inputs?: Tensors
  /** Measurements per model; default 9. */
  readonly repeats?: number
  /** Untimed runs of each model before the first measurement; default 3. */
  readonly warmup?: number
  /** Least running time of one measurement, in seconds; default 0.2. */
  readonly seconds?: number
  /** Threads that one operator may use; default: one per core. */
  readonly threads?: number
  /** The package to run with; default: onnxruntime-node where it loads, else onnxruntime-web. */
  readonly runtime?: RuntimeName
  /** Seconds that one load or measurement may take; default 300. */
  readonly timeoutSeconds?: number
  readonly graphOptimizationLevel?: GraphOptimizationLevel
  readonly onProgress?: OnProgress
  /** Another worker; for tests. */
  readonly worker?: URL
}

export interface Measurement {
  readonly name: string
  readonly provider: Provider
  /** Why that provider. */
  readonly why: string
  readonly runtime: string
  readonly placement: Placement
  /** Items per run. */
  readonly batch: number
  /** Sizes of the open dimensions. */
  readonly sizes: Sizes
  /** Milliseconds per run. */
  readonly latency: Quartiles
  /** Items per second. */
  readonly throughput: Quartiles
  /** How many times faster than the first model: quartiles of the ratios of neighbouring measurements. */
  readonly speedup: Quartiles
  /** Of the first of several models: how many times faster than itself it was, loaded twice. What lies within means nothing. */
  readonly noise?: Quartiles
  /** Milliseconds per run of each measurement, in order of time. */
  readonly repeats: ReadonlyArray<number>
  /** Runs over all measurements. */
  readonly iterations: number
}

interface Ready {
  readonly model: ModelHandle
  readonly inputs: PreparedInputs
  readonly sizes: Sizes
  readonly batch: number
}

const optionChoices: Readonly<Record<keyof MeasureOptions, Choice>> = {
  ...runnerChoices,
  batch: 'any',
  sizes: 'any',
  inputs: 'any',
  repeats: 'any',
  warmup: 'any',
  seconds: 'any',
  onProgress: 'any',
}

const countErrors = (options: MeasureOptions): RunError | undefined => {
  const { batch = 1, repeats = 9, warmup = 3, seconds = 0.2 } = options
  const whole = (name: string, value: number, least: number): RunError | undefined =>
    Number.isSafeInteger(value) && value >= least
      ? undefined
      : runError(name, `a whole number, ${least} or more`, String(value), 'Leave it out for the default.')
  const twice =
    options.inputs === undefined || (options.batch === undefined && options.sizes === undefined)
      ? undefined
      : runError('inputs', 'inputs, or a batch and sizes to make some of', 'both', 'Leave the batch and the sizes out.')
  const time =
    seconds >= 0 && seconds <= 3600
      ? undefined
      : runError('seconds', 'a number from 0 to 3600', String(seconds), 'Leave it out for 0.2.')
  return whole('batch', batch, 1) ?? whole('repeats', repeats, 1) ?? whole('warmup', warmup, 0) ?? time ?? twice
}

/** Items that one run of a model handles: the size of the first axis of its first input that has axes. */
const itemsPerRun = (model: ModelHandle, sizes: Sizes): number => {
  const input = model.inputs.find((x) => x.shape.length > 1) ?? model.inputs.find((x) => x.shape.length > 0)
  const dim = input?.shape[0]
  const size = typeof dim === 'number' ? dim : sizes[dim ?? `${input?.name ?? ''}[0]`]
  return Math.max(1, size ?? 1)
}

const ready = async (
  runner: Runner,
  source: ModelSource,
  options: MeasureOptions,
): Promise<E.Either<RunError, Ready>> => {
  const loaded = await runner.load(source)()
  if (E.isLeft(loaded)) return loaded
  const model = loaded.right
  if (options.inputs !== undefined) {
    const inputs = await runner.prepare(model, options.inputs)()
    if (E.isLeft(inputs)) return inputs
    const shapes = [...options.inputs.values()].map(({ shape }) => shape)
    const [batch = 1] = shapes.find(({ length }) => length > 1) ?? shapes.find(({ length }) => length > 0) ?? []
    return E.right({ model, inputs: inputs.right, sizes: {}, batch: Math.max(1, batch) })
  }
  const choices = sizeChoices(model.inputs, options.sizes, 'measure', options.batch ?? 1)
  if (E.isLeft(choices)) return choices
  const found = await acceptedSizes(runner, model, choices.right, [1], 1, (note) =>
    options.onProgress?.({ phase: 'sizes', done: 0, total: 1, note: `${model.name}: ${note}` }),
  )
  if (E.isLeft(found)) return found
  const chosen = found.right.accepted[0]
  if (chosen === undefined) return E.left(runError(model.name, 'sizes that it accepts', 'none', 'Bind them.'))
  const batch = itemsPerRun(model, chosen.sizes)
  if (options.batch !== undefined && batch !== options.batch) {
    const open = batchDims(model.inputs)
    return E.left(
      runError(
        model.name,
        `a model that takes batches of ${options.batch}`,
        open.length === 0 ? `one whose batch is fixed at ${batch}` : `a batch of ${batch} bound by name`,
        'Leave the batch out, or export the model with an open first dimension.',
      ),
    )
  }
  const inputs = await runner.prepare(model, chosen.runs[0]?.feeds ?? new Map<string, Dense>())()
  return E.isLeft(inputs) ? inputs : E.right({ model, inputs: inputs.right, sizes: chosen.sizes, batch })
}

const measureWith = async (
  runner: Runner,
  sources: ReadonlyArray<ModelSource>,
  options: MeasureOptions,
): Promise<E.Either<RunError, ReadonlyArray<Measurement>>> => {
  const { repeats = 9, warmup = 3, seconds = 0.2 } = options
  const report = options.onProgress ?? (() => undefined)
  const models: Ready[] = []
  // The first one once more, against itself.
  const loaded = sources.length > 1 ? [...sources, ...sources.slice(0, 1)] : sources
  for (const source of loaded) {
    const name = typeof source === 'string' ? source : `model ${models.length + 1}`
    report({ phase: 'load', done: models.length, total: loaded.length, note: name })
    const next = await ready(runner, source, options)
    if (E.isLeft(next)) return next
    models.push(next.right)
  }
  for (const [i, { inputs, model }] of models.entries()) {
    report({ phase: 'warm-up', done: i, total: models.length, note: model.name })
    const warm = await runner.time(inputs, { warmup, seconds: 0 })()
    if (E.isLeft(warm)) return warm
  }
  const times = models.map(() => new Array<number>())
  const iterations = models.map(() => 0)
  for (let round = 0; round < repeats; round++) {
    for (const [i, { inputs, model }] of models.entries()) {
      const done = round * models.length + i
      report({ phase: 'measure', done, total: repeats * models.length, note: model.name })
      // One run to bring the model's weights back into the caches that the previous model used.
      const timed = await runner.time(inputs, { warmup: warmup === 0 ? 0 : 1, seconds })()
      if (E.isLeft(timed)) return timed
      times[i]?.push(timed.right.milliseconds / timed.right.iterations)
      iterations[i] = (iterations[i] ?? 0) + timed.right.iterations
    }
  }
  report({ phase: 'measure', done: repeats * models.length, total: repeats * models.length, note: 'done' })
  const first = times[0] ?? []
  const { provider, why, runtime } = runner
  const speedupOf = (own: ReadonlyArray<number>): Quartiles =>
    quartiles(own.map((ms, round) => (first[round] ?? NaN) / ms))
  const again = times.slice(sources.length).map((own) => ({ noise: speedupOf(own) }))
  return E.right(
    models.slice(0, sources.length).map(({ model, sizes, batch }, i): Measurement => {
      const own = times[i] ?? []
      return {
        name: model.name,
        provider,
        why,
        runtime,
        placement: model.placement,
        batch,
        sizes,
        latency: quartiles(own),
        throughput: quartiles(own.map((ms) => (batch * 1000) / ms)),
        speedup: speedupOf(own),
        ...again[i],
        repeats: own,
        iterations: iterations[i] ?? 0,
      }
    }),
  )
}

/**
 * Measures models side by side in one process: all are loaded and warmed up, then measured in turn (A B A B …), each
 * time for at least `seconds`. Of several models the first is measured twice, which tells the noise. Only `session.run` on inputs
 * that lie ready is timed.
 *
 * Errors: no model at all, a model that is missing, does not load, crashes or hangs; sizes that it refuses; a batch
 * that it does not take; a provider that does not work here.
 */
export const measure = (
  models: ReadonlyArray<ModelSource>,
  options: MeasureOptions = {},
): TE.TaskEither<RunError, ReadonlyArray<Measurement>> => {
  if (models.length === 0) return TE.left(runError('models', 'at least one', 'none', 'Name an ONNX file.'))
  const wrong = wrongOption('RunError', options, optionChoices) ?? countErrors(options)
  if (wrong !== undefined) return TE.left(wrong)
  const { provider, threads, runtime, timeoutSeconds, graphOptimizationLevel, worker } = options
  return withRunner(
    {
      ...(provider === undefined ? {} : { provider }),
      ...(threads === undefined ? {} : { threads }),
      ...(runtime === undefined ? {} : { runtime }),
      ...(timeoutSeconds === undefined ? {} : { timeoutSeconds }),
      ...(graphOptimizationLevel === undefined ? {} : { graphOptimizationLevel }),
      ...(worker === undefined ? {} : { worker }),
    },
    (runner) => measureWith(runner, models, options),
  )
}
