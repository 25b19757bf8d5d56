/** Layer densities by what weights mean to the loss before the first step. */
import * as E from 'fp-ts/lib/Either.js'
import { type RandomState, seededRandom } from '../../ir/random.ts'
import { type Batch, type DataSet, drawTrainingBatch, loadBatch, startOf } from '../data/index.ts'
import type { Gradients, TrainingState } from '../executor/executor.ts'
import type { Recipe } from '../recipe/index.ts'
import { snipRatios } from '../sparse/index.ts'
import { trainError, type TrainError } from './error.ts'
import { disposeAll, readLayers, type Trainable } from './run.ts'
import { feedsOf } from './score.ts'

/**
 * SNIP's densities of the layers that are not exempt, `density` of all weights together: by |w · ∂L/∂w|, L the loss that is
 * trained on, w the weights of the graph, over one batch of training images. The batch is drawn and varied by generators
 * of its own, so that a run sees its images in the same order as without; running statistics are those of a copy.
 *
 * Errors: images that cannot be read; a loss that is no number.
 */
export const saliencyDensities = async (
  trainable: Trainable,
  data: DataSet,
  recipe: Recipe,
  density: number,
): Promise<E.Either<TrainError, ReadonlyArray<number>>> => {
  const batch = await saliencyBatch(data, recipe)
  if (E.isLeft(batch)) return batch
  const { executor } = trainable
  const state = executor.initialState()
  try {
    const example = { inputs: feedsOf(executor, data, batch.right), labels: batch.right.labels }
    const result = executor.lossAndGradients(state, example, { labelSmoothing: recipe.labelSmoothing })
    return E.isLeft(result) ? result : await ratiosOf(trainable, state, result.right, density)
  } finally {
    disposeAll(state.parameters)
    disposeAll(state.statistics)
  }
}

const saliencyBatch = async (data: DataSet, recipe: Recipe): Promise<E.Either<TrainError, Batch>> => {
  const random = (stream: string): RandomState => seededRandom(recipe.seed, `saliency ${stream}`)
  const cursor = { ...startOf(recipe.seed), order: random('order'), augmentation: random('augmentation') }
  return loadBatch(data, data.train, drawTrainingBatch(data, cursor, recipe))()
}

/** Takes over the tensors of `found`. */
const ratiosOf = async (
  { executor, network }: Trainable,
  state: TrainingState,
  found: Gradients,
  density: number,
): Promise<E.Either<TrainError, ReadonlyArray<number>>> => {
  const [loss = NaN] = await found.loss.data()
  const weights = await readLayers(executor, network, state.parameters)
  const gradients = await readLayers(executor, network, found.gradients)
  found.loss.dispose()
  found.logits.dispose()
  disposeAll(found.gradients)
  if (!Number.isFinite(loss)) {
    const help = 'Check the weights that the model starts with, or choose another distribution than snip.'
    return E.left(trainError('loss of the batch that snip looks at', 'a finite number', `${loss}`, help))
  }
  const counted = (_: unknown, l: number): boolean => network.layers[l]?.exempt !== true
  return E.right(snipRatios(weights.filter(counted), gradients.filter(counted), density))
}
