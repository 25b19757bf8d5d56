/** How a network is trained, as plain data: what JSON holds, every entry filled in. */
import * as E from 'fp-ts/lib/Either.js'
import { isNonEmpty } from 'fp-ts/lib/Array.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import type { RecipeError } from './error.ts'
import { type LearningRate, readLearningRate } from './learning-rate.ts'
import { type Method, readMethod } from './method.ts'
import { type Entries, entriesOf } from './reader.ts'

export interface Recipe {
  readonly method: Method
  readonly epochs: number
  /** Images in a batch. */
  readonly batch: number
  readonly learningRate: LearningRate
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
  /** What decays: `all` parameters, or only `weights`, those of more than one axis. */
  readonly decay: 'all' | 'weights'
  readonly labelSmoothing: number
  /** Black pixels around an image before it is cut out anew, and mirror images; null for images as they are. */
  readonly augmentation: { readonly padding: number; readonly flip: boolean } | null
  /** Decides masks, data order and augmentation. */
  readonly seed: number
  /** Whether removed channels leave the network while training goes on. */
  readonly slim: boolean
}

/**
 * The recipe that plain data describe; what is left out has the values of the CIFAR runs, the method excepted.
 * Errors: everything that is wrong, unknown entries included.
 */
export const decodeRecipe = (data: unknown): E.Either<NonEmptyArray<RecipeError>, Recipe> => {
  const problems: RecipeError[] = []
  const entries = entriesOf(data, '', problems)
  const method = methodOf(entries)
  const rate = entries.inner('learningRate')
  const learningRate = readLearningRate(rate)
  rate?.end()
  const recipe: Recipe = {
    method,
    epochs: entries.number('epochs', { min: 1, whole: true }, 160),
    batch: entries.number('batch', { min: 1, whole: true }, 128),
    learningRate,
    momentum: entries.number('momentum', { min: 0, max: 1, belowMax: true }, 0.9),
    nesterov: entries.flag('nesterov', false),
    weightDecay: entries.number('weightDecay', { min: 0 }, 5e-4),
    decay: entries.choice('decay', ['all', 'weights'], 'all'),
    labelSmoothing: entries.number('labelSmoothing', { min: 0, max: 1, belowMax: true }, 0),
    augmentation: augmentationOf(entries),
    seed: entries.number('seed', { min: 0, max: 2 ** 32 - 1, whole: true }, 0),
    slim: entries.flag('slim', true),
  }
  entries.end()
  return isNonEmpty(problems) ? E.left(problems) : E.right(recipe)
}

const methodOf = (entries: Entries): Method => {
  const inner = entries.inner('method')
  if (inner === undefined) {
    entries.note('method', 'an object with the name of a method', 'nothing', 'For example { "name": "chase" }.')
    return { name: 'dense' }
  }
  const method = readMethod(inner)
  inner.end()
  return method
}

const augmentationOf = (entries: Entries): Recipe['augmentation'] => {
  if (entries.raw('augmentation') === null) return null
  const inner = entries.inner('augmentation')
  if (inner === undefined) return { padding: 4, flip: true }
  const augmentation = {
    padding: inner.number('padding', { min: 0, max: 1024, whole: true }, 4),
    flip: inner.flag('flip', true),
  }
  inner.end()
  return augmentation
}
