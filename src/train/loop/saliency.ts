/** What weights mean to the loss before the first step. */
import * as E from 'fp-ts/lib/Either.js'
import { type RandomState, seededRandom } from '../../ir/random.ts'
import { type Batch, type DataSet, drawTrainingBatch, loadBatch, startOf } from '../data/index.ts'
import { hessianProduct } from '../executor/curvature.ts'
import type { Batch as Example, DeviceTensors, LossOptions, TrainingState } from '../executor/executor.ts'
import type { Recipe } from '../recipe/index.ts'
import { type First, type Network, type Sample, snipRatios } from '../sparse/index.ts'
import { trainError, type TrainError } from './error.ts'
import { disposeAll, readLayers, type Trainable } from './run.ts'
import { feedsOf } from './score.ts'

/** What is looked at: the loss of so many batches. */
export interface Look extends Required<Pick<First, 'batches' | 'temperature'>> {
  readonly data: DataSet
  readonly recipe: Recipe
  readonly curvature: boolean
}

/**
 * SNIP's densities of the layers that are not exempt, `density` of all weights together: by |w · ∂L/∂w| on one batch.
 *
 * Errors: as {@link lookAtLoss}.
 */
export const saliencyDensities = async (
  trainable: Trainable,
  data: DataSet,
  recipe: Recipe,
  density: number,
): Promise<E.Either<TrainError, ReadonlyArray<number>>> => {
  const { network } = trainable
  const look = { data, recipe, batches: 1, temperature: 1, curvature: false }
  const sample = await lookAtLoss(trainable, look)
  if (E.isLeft(sample)) return sample
  const { weights, gradients = [] } = sample.right
  const counted = (_: unknown, l: number): boolean => network.layers[l]?.exempt !== true
  return E.right(snipRatios(weights.filter(counted), gradients.filter(counted), density))
}

/**
 * The weights of the graph and the gradients of the loss that is trained on, a sum over batches of training images; and the
 * curvature, by the layers that are not exempt. The batches are drawn and varied by generators of their own, so that a
 * run sees its images in the same order as without; running statistics are those of a copy.
 *
 * Errors: images that cannot be read; a loss that is no number.
 */
export const lookAtLoss = async (trainable: Trainable, look: Look): Promise<E.Either<TrainError, Sample>> => {
  const { executor, network } = trainable
  const batches = await batchesOf(look)
  if (E.isLeft(batches)) return batches
  const examples = batches.right.map((batch): Example => ({
    inputs: feedsOf(executor, look.data, batch),
    labels: batch.labels,
  }))
  const state = executor.initialState()
  try {
    const weights = await readLayers(executor, network, state.parameters)
    const gradients = await sumOver(trainable, examples, (example) => gradientsOf(trainable, state, example, look))
    if (E.isLeft(gradients) || !look.curvature) return E.map((sum: Sums) => ({ weights, gradients: sum }))(gradients)
    const direction = executor.writeParameters(directionOf(network, gradients.right))
    const options = optionsOf(look)
    const curvature = await sumOver(trainable, examples, async (example) =>
      hessianProduct(executor, state, example, direction, options),
    )
    disposeAll(direction)
    return E.map((sum: Sums): Sample => ({ weights, gradients: gradients.right, curvature: sum }))(curvature)
  } finally {
    disposeAll(state.parameters)
    disposeAll(state.statistics)
  }
}

type Sums = ReadonlyArray<Float32Array>

const optionsOf = ({ recipe, temperature }: Look): LossOptions => ({
  labelSmoothing: recipe.labelSmoothing,
  temperature,
})

const batchesOf = async ({ data, recipe, batches }: Look): Promise<E.Either<TrainError, ReadonlyArray<Batch>>> => {
  const random = (stream: string): RandomState => seededRandom(recipe.seed, `saliency ${stream}`)
  let cursor = { ...startOf(recipe.seed), order: random('order'), augmentation: random('augmentation') }
  const out: Batch[] = []
  for (let n = 0; n < batches; n++) {
    const drawn = drawTrainingBatch(data, cursor, recipe)
    const batch = await loadBatch(data, data.train, drawn)()
    if (E.isLeft(batch)) return batch
    out.push(batch.right)
    cursor = drawn.next
  }
  return E.right(out)
}

/** The gradients of weights that are not exempt. */
const directionOf = ({ layers }: Network, gradients: Sums): Map<string, Float32Array> =>
  new Map(layers.flatMap(({ name, exempt }, l) => (exempt === true ? [] : [[name, gradients[l] ?? nothing] as const])))

const nothing = new Float32Array(0)

/** What `of` makes of each example, layer by layer, added up; takes over the tensors. */
const sumOver = async (
  { executor, network }: Trainable,
  examples: ReadonlyArray<Example>,
  of: (example: Example) => Promise<E.Either<TrainError, DeviceTensors>>,
): Promise<E.Either<TrainError, Sums>> => {
  let sums: Sums | undefined
  for (const example of examples) {
    const found = await of(example)
    if (E.isLeft(found)) return found
    const next = await readLayers(executor, network, found.right)
    disposeAll(found.right)
    sums = sums?.map((sum, l) => sum.map((x, i) => x + (next[l]?.[i] ?? 0))) ?? next
  }
  return E.right(sums ?? [])
}

const gradientsOf = async (
  { executor }: Trainable,
  state: TrainingState,
  example: Example,
  look: Look,
): Promise<E.Either<TrainError, DeviceTensors>> => {
  const result = executor.lossAndGradients(state, example, optionsOf(look))
  if (E.isLeft(result)) return result
  const { loss, logits, gradients } = result.right
  const [value = NaN] = await loss.data()
  loss.dispose()
  logits.dispose()
  if (Number.isFinite(value)) return E.right(gradients)
  disposeAll(gradients)
  const help = 'Check the weights that the model starts with, or choose a method or distribution that looks at none.'
  return E.left(trainError('loss before the first step', 'a finite number', `${value}`, help))
}
