/**
 * How much of a model can be masked before it breaks: masks of single weights at one density after the other, the masked model beside the
 * dense one on a calibration set, in ONNX Runtime. Without training, up to what is called essential sparsity (arXiv 2306.03805). Node only.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, failure } from '../ir/failure.ts'
import type { Graph } from '../ir/graph.ts'
import { type Choice, wrongCount, wrongOption } from '../ir/options.ts'
import type { Masks } from '../masks/mask.ts'
import { type PrunedWeights, pruneWeights, type PruneWeightsOptions } from '../passes/prune-weights.ts'
import { type Agreement, judgeCurve, type SparsityCurve, type CurveLevel } from '../report/knee.ts'
import { runnerChoices } from '../run/runner-choices.ts'
import { type ModelHandle, type Runner, type RunnerOptions, withRunner } from '../run/runner.ts'
import { type CalibrationSource, calibrationRuns } from './calibrate.ts'
import { addRun, agreementOf, noAgreement } from './agreement.ts'
import { maskedModel } from './runnable.ts'

/** How {@link findKnee} masks, and on what. */
export interface KneeOptions
  extends
    Omit<PruneWeightsOptions, 'sparsity' | 'pattern' | 'block' | 'ratios' | 'gradients'>,
    Omit<RunnerOptions, 'freeDimensions' | 'tf32'> {
  /** Fractions of the weights to mask, each above the one before; default: 0.1 to 0.9 in tenths, and 0.95. */
  readonly levels?: ReadonlyArray<number>
  /** What may be lost at the essential sparsity, as a fraction of all answers, or of the size of the outputs; default 0.01. */
  readonly tolerance?: number
  /** Samples that models run on, at most; default 128. */
  readonly samples?: number
  /** Samples that are run at once, where the model leaves that open; default 8. */
  readonly batch?: number
  /** Called before each level. */
  readonly onProgress?: (done: number, all: number) => void
}

const optionChoices: Readonly<Record<keyof KneeOptions, Choice>> = {
  ...runnerChoices,
  score: 'any',
  within: 'any',
  refine: 'any',
  statistics: 'any',
  keep: 'any',
  levels: 'any',
  tolerance: 'any',
  samples: 'any',
  batch: 'any',
  onProgress: 'any',
}

export interface FoundKnee extends SparsityCurve {
  /** Layers that stay whole, and why. */
  readonly kept: PrunedWeights['kept']
  readonly runtime: string
}

const usualLevels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95] as const

/**
 * Masks more and more weights of `graph` under `masks`, which stay, and runs each masked model beside the one without new masks. Of a data
 * set with labels (`mnist:DIR`, `images:DIR`) validation images are looked at, and accuracies compared; the test images stay unseen.
 *
 * Errors: those of {@link pruneWeights}, of reading the calibration set and of running the models.
 */
export const findKnee =
  (graph: Graph, masks: Masks, source: CalibrationSource, options: KneeOptions = {}): TaskEither<Failure, FoundKnee> =>
  async () => {
    const wrong = wrongOption('PruneError', options, optionChoices) ?? checkNumbers(options)
    if (wrong !== undefined) return E.left(wrong)
    const { levels = usualLevels, tolerance = 0.01, samples: most = 128, batch = 8, onProgress, ...rest } = options
    const { score, within, refine, statistics, keep, ...runner } = rest
    const how: PruneWeightsOptions = {
      ...(score && { score }),
      ...(within && { within }),
      ...(refine && { refine }),
      ...(statistics && { statistics }),
      ...(keep && { keep }),
    }
    const dense = maskedModel(graph, masks)
    if (E.isLeft(dense)) return dense
    return withRunner<FoundKnee, Failure>(runner, async (opened) => {
      const reference = await opened.load(dense.right)()
      if (E.isLeft(reference)) return reference
      const found: CurveLevel[] = []
      let kept: PrunedWeights['kept'] = []
      for (const [at, level] of levels.entries()) {
        onProgress?.(at, levels.length)
        const pruned = pruneWeights(graph, masks, { ...how, sparsity: level })
        if (E.isLeft(pruned)) return pruned
        const model = maskedModel(graph, pruned.right.masks)
        if (E.isLeft(model)) return model
        const loaded = await opened.load(model.right)()
        if (E.isLeft(loaded)) return loaded
        const agreement = await compare(
          opened,
          [reference.right, loaded.right],
          calibrationRuns(graph, source, most, batch, 'validation'),
        )
        if (E.isLeft(agreement)) return agreement
        const released = await opened.release(loaded.right)()
        if (E.isLeft(released)) return released
        const { masked, weights } = pruned.right
        found.push({ level, masked: weights === 0 ? 0 : masked / weights, agreement: agreement.right })
        kept = pruned.right.kept
      }
      return E.right({ ...judgeCurve(found, tolerance), kept, runtime: opened.runtime })
    })()
  }

const checkNumbers = ({ levels, tolerance, samples, batch }: KneeOptions): Failure | undefined => {
  const isRising = levels?.every((level, i) => level >= 0 && level < 1 && level > (levels[i - 1] ?? -1))
  if (levels !== undefined && (isRising === false || levels.length === 0)) {
    const help = 'Give for example 0.5, 0.7, 0.9.'
    return failure(
      'PruneError',
      'levels',
      'fractions from 0 to less than 1, each above the one before',
      levels.join(', ') || 'none',
      help,
    )
  }
  if (tolerance !== undefined && !(tolerance >= 0 && tolerance < 1))
    return failure(
      'PruneError',
      'tolerance',
      'a number from 0 to less than 1',
      `${tolerance}`,
      'Give for example 0.01.',
    )
  return wrongCount('PruneError', { samples, batch })
}

/** Both models on all runs, of which one is in memory at a time. */
const compare = async (
  runner: Runner,
  [reference, candidate]: readonly [ModelHandle, ModelHandle],
  runs: ReturnType<typeof calibrationRuns>,
): Promise<E.Either<Failure, Agreement>> => {
  const sums = noAgreement()
  for await (const next of runs) {
    if (E.isLeft(next)) return next
    const { feeds, labels } = next.right
    const expected = await runner.run(reference, feeds)()
    if (E.isLeft(expected)) return expected
    const found = await runner.run(candidate, feeds)()
    if (E.isLeft(found)) return found
    addRun(sums, next.right.samples, expected.right, found.right, labels)
  }
  return agreementOf(sums)
}
