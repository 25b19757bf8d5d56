/** Gradients of what a model answers by its weights, over a calibration set: computed as training computes them. Node only. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { numbersOf } from '../ir/evaluate.ts'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import { type Choice, wrongCount, wrongOption } from '../ir/options.ts'
import { sizeOf } from '../ir/type.ts'
import type { Masks } from '../masks/mask.ts'
import { applyMasks } from '../passes/apply-masks.ts'
import type { WeightGradients } from '../passes/prune-weights.ts'
import { type Backend, type BackendName, backendNames } from '../train/backend/backend.ts'
import { openBackend } from '../train/backend/open.ts'
import { buildExecutor, type Executor, type Feeds, type TrainingState } from '../train/executor/index.ts'
import { type CalibrationRun, type CalibrationSource, calibrationRuns } from './calibrate.ts'

export interface GradientOptions {
  /** Samples that are looked at, at most; default 32. */
  readonly samples?: number
  /** Samples that are run at once, where the model leaves that open; default 8. */
  readonly batch?: number
  /** What computes; default `auto`. */
  readonly backend?: BackendName | 'auto'
  /** Called after each run with the samples seen so far. */
  readonly onProgress?: (samples: number) => void
}

const optionChoices: Readonly<Record<keyof GradientOptions, Choice>> = {
  samples: 'any',
  batch: 'any',
  backend: [...backendNames, 'auto'],
  onProgress: 'any',
}

export interface OutputGradients {
  /** By weight, float64, as it lies in its tensor. */
  readonly gradients: WeightGradients
  readonly samples: number
  /** What computed them. */
  readonly runtime: string
}

/**
 * The gradients of the mean of f(x)² by the weights of `graph` under `masks`, f its first output, in the mean of the samples of a
 * calibration set: what LPViT (arXiv 2407.02068) judges weights by. Normalisations use their running statistics.
 *
 * Errors: an operator or an input that chasec does not train, by name; a set that cannot be read or does not fit; gradients that are not
 * finite; options out of range.
 */
export const outputGradients =
  (
    graph: Graph,
    masks: Masks,
    source: CalibrationSource,
    options: GradientOptions = {},
  ): TaskEither<Failure, OutputGradients> =>
  async () => {
    const { samples = 32, batch = 8, backend: name = 'auto', onProgress } = options
    const wrong = wrongOption('PruneError', options, optionChoices) ?? wrongCount('PruneError', { samples, batch })
    if (wrong !== undefined) return E.left(wrong)
    const masked = applyMasks(graph, masks)
    if (E.isLeft(masked)) return masked
    const backend = await openBackend(name)()
    if (E.isLeft(backend)) return backend
    const executor = buildExecutor(masked.right, backend.right)
    if (E.isLeft(executor)) return executor
    const state = executor.right.initialState()
    // What the output does not depend on has gradients of zero.
    const sums = new Map(
      executor.right.parameters.map(({ name: weight, shape }) => [weight, new Float64Array(sizeOf(shape))]),
    )
    try {
      let seen = 0
      for await (const next of calibrationRuns(graph, source, samples, batch)) {
        if (E.isLeft(next)) return next
        const added = await addRun(sums, executor.right, state, next.right)
        if (E.isLeft(added)) return added
        seen += next.right.samples
        onProgress?.(seen)
      }
      if (seen === 0) {
        const help = 'Give at least one input of the model.'
        return E.left(failure('StatisticsError', 'calibration set', 'at least one sample', 'none', help))
      }
      const gradients = new Map(Array.from(sums, ([weight, sum]) => [weight, sum.map((x) => x / seen)]))
      return E.right({ gradients, samples: seen, runtime: describe(backend.right) })
    } finally {
      for (const held of [state.parameters, state.statistics]) for (const tensor of held.values()) tensor.dispose()
      executor.right.dispose()
    }
  }

const describe = ({ name, description }: Backend): string => (description === '' ? name : `${name} (${description})`)

const addRun = async (
  sums: Map<ValueId, Float64Array>,
  executor: Executor,
  state: TrainingState,
  { feeds, samples, from }: CalibrationRun,
): Promise<E.Either<Failure, void>> => {
  const inputs: Feeds = new Map(
    Array.from(feeds, ([name, tensor]) => [
      name,
      { values: Float32Array.from(numbersOf(tensor)), shape: tensor.shape },
    ]),
  )
  const found = executor.meanSquareAndGradients(state, inputs)
  if (E.isLeft(found)) return found
  const { loss, gradients } = found.right
  const arrays = await executor.readParameters(gradients)
  for (const tensor of [loss, ...gradients.values()]) tensor.dispose()
  for (const [weight, gradient] of arrays) {
    if (!gradient.every(Number.isFinite)) {
      const help = 'Leave that input out, or check the model: what is no number cannot be compared.'
      return E.left(failure('StatisticsError', `gradient of ${weight}`, 'finite numbers', `others on ${from}`, help))
    }
    const sum = sums.get(weight) ?? new Float64Array(gradient.length)
    gradient.forEach((x, i) => {
      sum[i] = (sum[i] ?? 0) + samples * x
    })
    sums.set(weight, sum)
  }
  return E.right(undefined)
}
