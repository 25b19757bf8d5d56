/** Activation statistics of a model over a calibration set, in ONNX Runtime. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import type { WriteError } from '../disk/error.ts'
import { lower } from '../export/lower.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Choice, wrongCount, wrongOption } from '../ir/options.ts'
import { elements, tensorOf } from '../ir/tensor.ts'
import { isStatic } from '../ir/type.ts'
import type { TensorFileError } from '../masks/file-entry.ts'
import {
  type ChannelStatistics,
  mergeStatistics,
  type Statistics,
  statisticsError,
  type StatisticsError,
} from '../masks/statistics.ts'
import { observeActivations, type Observation, type ObservedLayer } from '../passes/observe-activations.ts'
import { type CalibrationError, readCalibration } from '../read/calibration.ts'
import { fitInputs, type InputBatch, tensorInputs } from '../read/fit-inputs.ts'
import type { RunError } from '../run/error.ts'
import { runnerChoices } from '../run/runner-choices.ts'
import { type RunnerOptions, type Tensors, withRunner } from '../run/runner.ts'
import { type DataError, loadBatch } from '../train/data/index.ts'
import { dataKinds, openData } from '../train/data/open.ts'
import { runnable } from './runnable.ts'

export interface CalibrateOptions extends Omit<RunnerOptions, 'freeDimensions' | 'tf32'> {
  /** Samples that are looked at, at most; default 128. */
  readonly samples?: number
  /** Samples that are run at once, where the model leaves that open; default 8. */
  readonly batch?: number
  /** Called after each run with the samples seen so far. */
  readonly onProgress?: (samples: number) => void
}

const optionChoices: Readonly<Record<keyof CalibrateOptions, Choice>> = {
  ...runnerChoices,
  samples: 'any',
  batch: 'any',
  onProgress: 'any',
}

export interface Calibration extends Statistics {
  /** Layers of which nothing can be said, and why. */
  readonly unseen: Observation['unseen']
  /** The package and its version that ran the model. */
  readonly runtime: string
}

export type CalibrateError = CalibrationError | DataError | RunError | WriteError | StatisticsError

/**
 * What calibration takes: the path of a file or folder of arrays (see `readCalibration`), a data set as training names it
 * (`mnist:DIR`, `images:DIR`), whose training images are normalised as training does, or tensors by the names of inputs.
 */
export type CalibrationSource = string | Iterable<Tensors>

/**
 * Runs `graph` over a calibration set and sums up what each of its layers reads, in float64, by input channel. One file of the set and
 * the activations of one run are in memory at a time.
 *
 * Errors: a set that cannot be read or does not fit the model, which names the file; activations that are not finite; a model that does
 * not run.
 */
export const calibrate =
  (graph: Graph, source: CalibrationSource, options: CalibrateOptions = {}): TaskEither<CalibrateError, Calibration> =>
  async () => {
    const wrong = wrongOption('StatisticsError', options, optionChoices)
    if (wrong !== undefined) return E.left(wrong)
    const { graph: observed, layers, unseen } = observeActivations(graph)
    if (layers.length === 0) {
      const found = unseen.length === 0 ? 'none' : unseen.map(({ layer, reason }) => `${layer}: ${reason}`).join('; ')
      const help = 'There is nothing to prune by statistics in this model.'
      return E.left(statisticsError('model', 'a layer with a constant weight', found, help))
    }
    const sums = new Map<ValueId, ChannelStatistics>()
    const ran = await observeRuns(graph, observed, source, options, (outputs, run) =>
      addRun(sums, layers, outputs, run),
    )()
    return E.isLeft(ran) ? ran : E.right({ ...ran.right, layers: sums, unseen })
  }

/**
 * Runs `observed`, which takes the inputs of `graph`, over a calibration set, and hands what it gives to `add`, run by run. Errors: as
 * {@link calibrate}, and what `add` finds wrong.
 */
export const observeRuns =
  (
    graph: Graph,
    observed: Graph,
    source: CalibrationSource,
    options: CalibrateOptions,
    add: (outputs: Tensors, run: CalibrationRun) => StatisticsError | undefined,
  ): TaskEither<CalibrateError, Pick<Calibration, 'samples' | 'runtime'>> =>
  async () => {
    const { samples: most = 128, batch = 8, onProgress, ...runner } = options
    const wrong = wrongCount('StatisticsError', { samples: most, batch })
    if (wrong !== undefined) return E.left(wrong)
    const lowered = lower(observed)
    if (E.isLeft(lowered)) return lowered
    return withRunner<Pick<Calibration, 'samples' | 'runtime'>, CalibrateError>(runner, async (opened) => {
      const loaded = await opened.load(runnable(lowered.right, 'the model with its statistics'))()
      if (E.isLeft(loaded)) return loaded
      let seen = 0
      for await (const next of calibrationRuns(graph, source, most, batch)) {
        if (E.isLeft(next)) return next
        const outputs = await opened.run(loaded.right, next.right.feeds)()
        if (E.isLeft(outputs))
          return E.left({ ...outputs.left, subject: `${outputs.left.subject} on ${next.right.from}` })
        const failed = add(outputs.right, next.right)
        if (failed !== undefined) return E.left(failed)
        seen += next.right.samples
        onProgress?.(seen)
      }
      if (seen === 0) {
        const help = 'Give at least one input of the model.'
        return E.left(statisticsError('calibration set', 'at least one sample', 'none', help))
      }
      return E.right({ samples: seen, runtime: opened.runtime })
    })()
  }

/** What a model reads once, with the classes of its samples where they are known. */
export interface CalibrationRun extends InputBatch {
  readonly labels?: ArrayLike<number>
}

/**
 * The runs of a calibration set until `most` samples are seen, at most `batch` of them at once where the model leaves that open. Ends
 * with the first error. `part` says which images of a data set.
 */
export async function* calibrationRuns(
  graph: Graph,
  source: CalibrationSource,
  most: number,
  batch: number,
  part: 'train' | 'validation' = 'train',
): AsyncGenerator<E.Either<CalibrationError | DataError, CalibrationRun>> {
  let left = most
  for await (const next of allRuns(graph, source, most, Math.min(batch, most), part)) {
    if (E.isLeft(next)) {
      yield next
      return
    }
    const run = next.right
    yield next
    left -= run.samples
    if (left <= 0) return
  }
}

async function* allRuns(
  graph: Graph,
  source: CalibrationSource,
  most: number,
  batch: number,
  part: 'train' | 'validation',
): AsyncGenerator<E.Either<CalibrationError | DataError, CalibrationRun>> {
  if (typeof source !== 'string') {
    let count = 0
    for (const feeds of source) {
      const from = `input ${count++}`
      const runs = fitInputs(feeds, from, tensorInputs(graph), batch)
      if (E.isLeft(runs)) yield runs
      else for (const run of runs.right) yield E.right(run)
    }
    return
  }
  const kind = source.slice(0, Math.max(0, source.indexOf(':')))
  if (dataKinds.includes(kind)) yield* imageRuns(graph, source, most, batch, part)
  else yield* readCalibration(source, graph, batch)
}

/** Images of a part of a data set, spread evenly over all of them, as training feeds them. */
async function* imageRuns(
  graph: Graph,
  source: string,
  most: number,
  batch: number,
  part: 'train' | 'validation',
): AsyncGenerator<E.Either<TensorFileError | DataError, CalibrationRun>> {
  const inputs = tensorInputs(graph)
  const [input] = inputs
  const height = input?.shape?.[2]
  const data = await openData(source, { seed: 1, ...(isStatic(height) ? { imageSize: height } : {}) })()
  if (E.isLeft(data)) {
    yield data
    return
  }
  const { [part]: split, shape } = data.right
  const count = Math.min(most, split.size)
  for (let first = 0; first < count; first += batch) {
    const size = Math.min(batch, count - first)
    const indices = Uint32Array.from({ length: size }, (_, i) => Math.floor(((first + i) * split.size) / count))
    const loaded = await loadBatch(data.right, split, { indices })()
    if (E.isLeft(loaded)) {
      yield loaded
      return
    }
    const { images, labels } = loaded.right
    const arrays = new Map([[input?.name ?? '', tensorOf('float32', [size, ...shape], images)]])
    const runs = fitInputs(arrays, `${source} (images ${first} to ${first + size - 1})`, inputs, batch)
    if (E.isLeft(runs)) {
      yield runs
      return
    }
    let at = 0
    for (const run of runs.right) {
      yield E.right({ ...run, labels: labels.subarray(at, at + run.samples) })
      at += run.samples
    }
  }
}

/** Adds what a run says of each layer. */
const addRun = (
  sums: Map<ValueId, ChannelStatistics>,
  layers: ReadonlyArray<ObservedLayer>,
  outputs: Tensors,
  { from }: InputBatch,
): StatisticsError | undefined => {
  for (const observed of layers) {
    const { weight, layer, inputs } = observed
    const found = statisticsIn(observed, outputs)
    if (found.mean.length !== inputs) {
      const help = 'The model declares other shapes than it computes; export it again.'
      return statisticsError(`input of ${layer}`, `${inputs} channels`, `${found.mean.length} on ${from}`, help)
    }
    if (found.count === 0) continue
    if (!found.mean.every(Number.isFinite) || !found.variance.every(Number.isFinite)) {
      const help = 'Leave that input out, or check the model: what is no number cannot be compared.'
      return statisticsError(`input of ${layer}`, 'finite activations', `a NaN or an infinity on ${from}`, help)
    }
    const known = sums.get(weight)
    sums.set(weight, known === undefined ? found : mergeStatistics(known, found))
  }
  return undefined
}

const statisticsIn = ({ mean, squares, shape, axis, zero }: ObservedLayer, outputs: Tensors): ChannelStatistics => {
  const numbers = (name: ValueId): Float64Array => {
    const tensor = outputs.get(name)
    return Float64Array.from(tensor === undefined ? [] : elements(tensor), Number)
  }
  const count = numbers(shape).reduce((n, size, at) => (at === axis ? n : n * size), 1)
  return {
    count,
    mean: numbers(mean).map((x) => x - zero),
    variance: numbers(squares).map((x) => x / count),
  }
}
