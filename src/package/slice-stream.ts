/** SliceGPT: the residual stream of a transformer without its smallest principal components on a calibration set. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Choice, wrongOption } from '../ir/options.ts'
import { elements } from '../ir/tensor.ts'
import { statisticsError, type StatisticsError } from '../masks/statistics.ts'
import { gatherNormalisations } from '../passes/channel-elimination/written-out.ts'
import { runPipeline } from '../passes/pass.ts'
import { cleanUp } from '../passes/pipeline.ts'
import { findStream, type Stream } from '../passes/slice-stream/find.ts'
import { observeStream } from '../passes/slice-stream/observe.ts'
import { rotateStream, type SlicedValue } from '../passes/slice-stream/rotate.ts'
import { runnerChoices } from '../run/runner-choices.ts'
import type { Tensors } from '../run/runner.ts'
import { type CalibrateOptions, type CalibrationSource, observeRuns } from './calibrate.ts'

export interface SliceOptions extends CalibrateOptions {
  /** Fraction of the channels of the stream that goes: 0 to 1, 1 excluded. 0 only changes the basis. */
  readonly fraction: number
  /** What is kept is a multiple of so many channels, rounded down, but at least one of them; default 8. */
  readonly multiple?: number
}

const optionChoices: Readonly<Record<keyof SliceOptions, Choice>> = {
  ...runnerChoices,
  samples: 'any',
  batch: 'any',
  onProgress: 'any',
  fraction: 'any',
  multiple: 'any',
}

export interface Sliced {
  /** Channels that go are zeros; compiling takes them out. */
  readonly graph: Graph
  readonly values: ReadonlyArray<SlicedValue>
  /** Values that normalisations read and that stay as they are, and why. */
  readonly left: Stream['left']
  readonly samples: number
  /** The package and its version that ran the model. */
  readonly runtime: string
}

const sliceError = (subject: string, expected: string, found: string, help: string): Failure =>
  failure('SliceError', subject, expected, found, help)

/** The largest stream whose eigenvectors are found in minutes. */
const largest = 2048

const problemIn = ({ fraction, multiple = 8 }: SliceOptions): Failure | undefined => {
  if (!(fraction >= 0 && fraction < 1)) {
    return sliceError('fraction', 'a number from 0 to less than 1', `${fraction}`, 'Give for example 0.25.')
  }
  if (Number.isSafeInteger(multiple) && multiple >= 1) return undefined
  return sliceError('multiple', 'a whole number of at least 1', `${multiple}`, 'Leave it out for 8.')
}

/**
 * The model with the residual stream of its blocks in the basis of the principal components on a calibration set, all but the largest
 * zero (lossy; SliceGPT, arXiv 2401.15024). At fraction 0 it computes the same to rounding.
 *
 * Errors: no residual stream that only normalisations read, with what was found; a calibration set that does not fit.
 */
export const sliceStream =
  (graph: Graph, source: CalibrationSource, options: SliceOptions): TaskEither<Failure, Sliced> =>
  async () => {
    const wrong = wrongOption('SliceError', options, optionChoices) ?? problemIn(options)
    if (wrong !== undefined) return E.left(wrong)
    const { fraction, multiple = 8, ...calibration } = options
    const clean = runPipeline(cleanUp, graph)
    if (E.isLeft(clean)) return clean
    const { graph: gathered, writeOut } = gatherNormalisations(clean.right)
    const stream = findStream(gathered)
    const sizes = [...stream.values.values()].map(({ size }) => size)
    if (sizes.length === 0) return E.left(noStream(stream))
    if (sizes.some((size) => size > largest)) {
      const help = 'The eigenvectors of larger ones would take hours here.'
      return E.left(sliceError('residual stream', `at most ${largest} channels`, `${Math.max(...sizes)}`, help))
    }
    const { graph: observed, moments: outputs } = observeStream(clean.right, stream)
    const moments = new Map<ValueId, Float64Array>()
    const ran = await observeRuns(clean.right, observed, source, calibration, (found, { from }) =>
      addMoments(moments, outputs, found, from),
    )()
    if (E.isLeft(ran)) return ran
    const keep = (size: number): number => {
      if (fraction === 0) return size
      const wanted = Math.floor((1 - fraction) * size)
      return Math.min(size, Math.max(multiple, wanted - (wanted % multiple)))
    }
    const { graph: rotated, values } = rotateStream(gathered, stream, moments, keep)
    const whole = runPipeline(cleanUp, writeOut(rotated))
    if (E.isLeft(whole)) return whole
    return E.right({ graph: whole.right, values, left: stream.left, ...ran.right })
  }

const noStream = ({ left }: Stream): Failure => {
  const found = left.slice(0, 3).map(({ value, reason }) => `${value}: ${reason}`)
  const more = left.length > found.length ? `; ${left.length - found.length} more` : ''
  const help =
    'This is for transformers whose blocks begin with a normalisation, in float32, and add to what they read.'
  const expected = 'values that are added up and that only normalisations over the last axis read'
  return sliceError(
    'residual stream',
    expected,
    left.length === 0 ? 'no normalisation' : `${found.join('; ')}${more}`,
    help,
  )
}

const addMoments = (
  sums: Map<ValueId, Float64Array>,
  outputs: ReadonlyMap<ValueId, ValueId>,
  found: Tensors,
  from: string,
): StatisticsError | undefined => {
  for (const [value, name] of outputs) {
    const tensor = found.get(name)
    const moment = Float64Array.from(tensor === undefined ? [] : elements(tensor), Number)
    if (!moment.every(Number.isFinite)) {
      const help = 'Leave that input out, or check the model.'
      return statisticsError(`value ${value}`, 'finite activations', `a NaN or an infinity on ${from}`, help)
    }
    const known = sums.get(value)
    sums.set(value, known === undefined ? moment : known.map((x, i) => x + (moment[i] ?? 0)))
  }
  return undefined
}
