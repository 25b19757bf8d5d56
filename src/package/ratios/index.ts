/**
 * How much goes of each layer: a sparsity of the whole model divided among its layers by what they are worth on a calibration set. One
 * method, one file, one line here. Node only.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, failure } from '../../ir/failure.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import { type Choice, wrongCount, wrongOption } from '../../ir/options.ts'
import type { Masks } from '../../masks/mask.ts'
import { compareWeights, type PruneWeightsOptions } from '../../passes/prune-weights.ts'
import { runnerChoices } from '../../run/runner-choices.ts'
import type { CalibrationSource } from '../calibrate.ts'
import { outputGradients, type OutputGradients } from '../gradients.ts'
import { ecoflap } from './ecoflap.ts'
import { lpvit } from './lpvit.ts'
import type { LayerRatios, RatioInput, RatioMethod, RatioOptions } from './method.ts'

export type { LayerRatio, LayerRatios, RatioOptions } from './method.ts'

export const ratioNames = ['ecoflap', 'lpvit'] as const

export type RatioName = (typeof ratioNames)[number]

const methods: Readonly<Record<RatioName, RatioMethod>> = { ecoflap, lpvit }

const optionChoices: Readonly<Record<keyof RatioOptions | 'by', Choice>> = {
  ...runnerChoices,
  by: ratioNames,
  sparsity: 'any',
  score: 'any',
  within: 'any',
  block: 'any',
  refine: 'any',
  statistics: 'any',
  gradients: 'any',
  keep: 'any',
  most: 'any',
  samples: 'any',
  batch: 'any',
  epsilon: 'any',
  seed: 'any',
  power: 'any',
  backend: 'any',
  onProgress: 'any',
}

/**
 * What shall go of each layer of `graph` under `masks`, so that `sparsity` of all weights that are compared goes together: `ratios` for
 * {@link pruneWeights}, with the same options.
 *
 * Errors: those of {@link pruneWeights}, of reading the calibration set and of running the model; layers that a method cannot judge.
 */
export const layerRatios =
  (
    graph: Graph,
    masks: Masks,
    source: CalibrationSource,
    options: RatioOptions & { readonly by: RatioName },
  ): TaskEither<Failure, LayerRatios> =>
  async () => {
    const { by, ...how } = options
    const wrong = wrongOption('PruneError', options, optionChoices) ?? checkNumbers(options)
    if (wrong !== undefined) return E.left(wrong)
    // A set may be walked through several times.
    const again = typeof source === 'string' ? source : [...source]
    const found = await gradientsBy(graph, masks, again, options)
    if (E.isLeft(found)) return found
    const gradients = found.right
    const comparison = compareWeights(
      graph,
      masks,
      comparedBy({ ...how, ...(gradients && { gradients: gradients.values }) }),
    )
    if (E.isLeft(comparison)) return comparison
    const lacking = methods[by].needsGradients
      ? comparison.right.compared.find(
          ({ layer, given }) => gradients?.values.get(layer.weight)?.length !== given.length,
        )
      : undefined
    if (lacking !== undefined) {
      const { node, weight } = lacking.layer
      const help = 'Keep this layer whole, or divide the sparsity by another method.'
      return E.left(failure('PruneError', `layer ${labelOf(node)}`, `a gradient by its weight ${weight}`, 'none', help))
    }
    const input = { graph, masks, comparison: comparison.right, source: again, gradients, options: how }
    const divided = await methods[by].divide(input)()
    return E.isLeft(divided) || gradients === undefined
      ? divided
      : E.right({ ...divided.right, gradients: gradients.values })
  }

/** Gradients of the output, those that were given or new ones, where anything asks for them. */
const gradientsBy = async (
  graph: Graph,
  masks: Masks,
  source: CalibrationSource,
  { by, score, gradients, samples, batch, backend, onProgress }: RatioOptions & { readonly by: RatioName },
): Promise<E.Either<Failure, RatioInput['gradients']>> => {
  if (gradients !== undefined) return E.right({ values: gradients, samples: 0, runtime: '' })
  if (!methods[by].needsGradients && score !== 'taylor') return E.right(undefined)
  const computed = await outputGradients(graph, masks, source, {
    ...(samples === undefined ? {} : { samples }),
    ...(batch === undefined ? {} : { batch }),
    ...(backend && { backend }),
    ...(onProgress && { onProgress: (seen: number) => onProgress(seen, undefined) }),
  })()
  return E.map(({ gradients: values, samples: seen, runtime }: OutputGradients) => ({
    values,
    samples: seen,
    runtime,
  }))(computed)
}

/** The options that comparing weights takes. */
const comparedBy = (options: RatioOptions): PruneWeightsOptions => {
  const { sparsity, score, within, block, refine, statistics, gradients, keep } = options
  return {
    sparsity,
    ...(score && { score }),
    ...(within && { within }),
    ...(block !== undefined && { block }),
    ...(refine && { refine }),
    ...(statistics && { statistics }),
    ...(gradients && { gradients }),
    ...(keep && { keep }),
  }
}

const checkNumbers = ({ sparsity, within, most, samples, batch, epsilon, seed }: RatioOptions): Failure | undefined => {
  const wrong = (subject: string, expected: string, found: unknown, help: string): Failure =>
    failure('PruneError', subject, expected, String(found), help)
  if (within === 'model') {
    const help = 'All weights of a model have no layers to divide among; compare within row or layer.'
    return wrong('within', 'row or layer', within, help)
  }
  if (most !== undefined && !(most >= sparsity && most <= 1)) {
    const help = 'Give the largest share of a layer that may go, or leave it out.'
    return wrong('most', `a fraction from the sparsity, ${sparsity}, to 1`, most, help)
  }
  if (epsilon !== undefined && !(epsilon > 0 && Number.isFinite(epsilon)))
    return wrong('epsilon', 'a number above 0', epsilon, 'Leave it out for 0.001.')
  if (seed !== undefined && !Number.isSafeInteger(seed))
    return wrong('seed', 'a whole number', seed, 'Give for example 1.')
  return wrongCount('PruneError', { samples, batch })
}
