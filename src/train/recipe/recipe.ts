/** How a network is trained, as plain data: what JSON holds, every entry filled in. */
import * as E from 'fp-ts/lib/Either.js'
import { isNonEmpty } from 'fp-ts/lib/Array.js'
import type { NonEmptyArray } from 'fp-ts/lib/NonEmptyArray.js'
import type { Augmentation } from '../data/index.ts'
import { readAugmentation } from './augmentation.ts'
import type { RecipeError } from './error.ts'
import { type LearningRate, readLearningRate } from './learning-rate.ts'
import { type Method, readMethod } from '../sparse/methods/index.ts'
import { type Entries, entriesOf, shown } from './reader.ts'

export interface Recipe {
  readonly method: Method
  readonly epochs: number
  /** Images in a batch. */
  readonly batch: number
  /** Whether the smaller batch at the end of an epoch is trained on, or left out. */
  readonly partial: boolean
  readonly learningRate: LearningRate
  readonly momentum: number
  readonly nesterov: boolean
  readonly weightDecay: number
  /** What decays: `all` parameters, or only `weights`, those of more than one axis. */
  readonly decay: 'all' | 'weights'
  readonly labelSmoothing: number
  /** Null for images as they are. */
  readonly augmentation: Augmentation | null
  /** Decides masks, data order and augmentation. */
  readonly seed: number
  /** Whether removed channels leave the network while training goes on. */
  readonly slim: boolean
}

/** Passes over the training images where nothing is said: some tens of minutes for a small network on a CPU, not days. */
export const defaultEpochs = 30

/**
 * The recipe that plain data describe; what is left out has the values of the CIFAR presets, but for the epochs, a batch of
 * 128 and the method.
 * Errors: everything that is wrong, unknown entries included.
 */
export const decodeRecipe = (data: unknown): E.Either<NonEmptyArray<RecipeError>, Recipe> => {
  const problems: RecipeError[] = []
  const entries = entriesOf(data, '', problems)
  const recipe = readRecipe(entries)
  const { warmup } = recipe.learningRate
  if (warmup >= recipe.epochs && problems.length === 0) {
    const help = 'Shorten the warm-up, or train for more epochs.'
    entries.note('learningRate.warmup', `less than the ${recipe.epochs} epochs of training`, `${warmup}`, help)
  }
  return isNonEmpty(problems) ? E.left(problems) : E.right(recipe)
}

/** The recipe that `entries` describe, each looked at by itself. */
export const readRecipe = (entries: Entries): Recipe => {
  const recipe: Recipe = {
    method: methodOf(entries),
    epochs: entries.number('epochs', { min: 1, whole: true }, defaultEpochs),
    batch: entries.number('batch', { min: 1, whole: true }, 128),
    partial: entries.flag('partial', true),
    learningRate: readLearningRate(entries.inner('learningRate')),
    momentum: entries.number('momentum', { min: 0, max: 1, belowMax: true }, 0.9),
    nesterov: entries.flag('nesterov', false),
    weightDecay: entries.number('weightDecay', { min: 0 }, 5e-4),
    decay: entries.choice('decay', ['all', 'weights'], 'all'),
    labelSmoothing: entries.number('labelSmoothing', { min: 0, max: 1, belowMax: true }, 0),
    augmentation: entries.raw('augmentation') === null ? null : readAugmentation(entries.inner('augmentation')),
    seed: entries.number('seed', { min: 0, max: 2 ** 32 - 1, whole: true }, 0),
    slim: entries.flag('slim', true),
  }
  entries.end()
  return recipe
}

const methodOf = (entries: Entries): Method => {
  const given = entries.raw('method')
  const name = typeof given === 'string' ? shown(given) : undefined
  const inner = name === undefined ? entries.inner('method') : undefined
  if (inner === undefined) {
    const help = name === undefined ? 'For example { "name": "chase" }.' : `Write it as { "name": ${name} }.`
    entries.note('method', 'an object with the name of a method', name ?? 'nothing', help)
    return { name: 'dense' }
  }
  const method = readMethod(inner)
  inner.end()
  return method
}
