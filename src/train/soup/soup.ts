/** Model soups: the mean of the weights of several trained networks with the same masks, as one network. */
import * as E from 'fp-ts/lib/Either.js'
import type { TaskEither } from 'fp-ts/lib/TaskEither.js'
import { type Failure, invariant } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import type { Masks } from '../../masks/mask.ts'
import { applyMasks } from '../../passes/apply-masks.ts'
import { runPipeline } from '../../passes/pass.ts'
import { cleanUp } from '../../passes/pipeline.ts'
import type { Backend, BackendName } from '../backend/backend.ts'
import { openBackend } from '../backend/open.ts'
import type { DataSet } from '../data/index.ts'
import { buildExecutor } from '../executor/executor.ts'
import type { Score } from '../loop/history.ts'
import { disposeAll } from '../loop/run.ts'
import { evaluate } from '../loop/score.ts'
import { misfit } from '../loop/training.ts'
import type { Recipe } from '../recipe/index.ts'
import { averageOf } from './average.ts'
import { checkIngredients, type Ingredient, type Some, soupError } from './ingredients.ts'
import { withStatistics } from './statistics.ts'

/** Which ingredients a soup is made of: all, or those that do not lower its accuracy. */
export const soupChoices = ['uniform', 'greedy'] as const

export type SoupChoice = (typeof soupChoices)[number]

/** How far what takes long is, in images. */
export interface SoupProgress {
  readonly doing: 'statistics' | 'validation'
  /** The ingredient alone that is looked at, or the one that the soup got last. */
  readonly name: string
  readonly done: number
  readonly of: number
}

export interface SoupOptions {
  /** Absent: `uniform`. */
  readonly choice?: SoupChoice
  /** One that is open, or the name of one. Absent: the best that this machine has. */
  readonly backend?: Backend | BackendName | 'auto'
  /**
   * Whether none of the networks was trained on the validation images of the data. Absent: yes. With false they are not looked
   * at: no accuracy is told, and nothing can be chosen by it.
   */
  readonly validate?: boolean
  /** On how many training images the statistics of BatchNormalization are estimated, in whole batches. Absent: on those of an epoch. */
  readonly statisticsImages?: number
  /** When aborted, the call ends with an error after the batch that it is at. */
  readonly signal?: AbortSignal
  /** Is told after every batch. */
  readonly onProgress?: (progress: SoupProgress) => void
}

const optionChoices: Readonly<Record<keyof SoupOptions, Choice>> = {
  choice: soupChoices,
  backend: 'any',
  validate: 'any',
  statisticsImages: 'any',
  signal: 'any',
  onProgress: 'any',
}

/** What became of an ingredient. */
export interface TriedIngredient {
  readonly name: string
  /** Of this network alone, on the validation images; absent where these were not looked at. */
  readonly validation?: Score
  /** Of the soup with it, where a greedy choice tried one. */
  readonly soup?: Score
  readonly used: boolean
}

export interface Soup {
  /** The mean of the ingredients that are used; of a single one the ingredient itself. */
  readonly graph: Graph
  readonly masks: Masks
  readonly choice: SoupChoice
  /** In the order in which they were tried. */
  readonly ingredients: ReadonlyArray<TriedIngredient>
  /** Of the soup, on the validation images; absent where these were not looked at. */
  readonly validation?: Score
  /** Training images on which statistics were estimated; 0 where nothing was averaged, or the network has none. */
  readonly statisticsImages: number
}

/**
 * Averages the weights of networks with the same masks, and estimates the statistics of BatchNormalization anew on training
 * images: a model soup (arXiv 2203.05482), and where one pruned parent was trained several times a sparse one (arXiv
 * 2306.16788). `uniform` takes all networks. `greedy` tries them in the order of their validation accuracy, the best first and
 * equals as they are given; one stays if the soup with it is no less accurate than without. Test images are not looked at. The
 * same arguments and backend give the same bits. `recipe` says how batches are drawn.
 *
 * Errors: networks that differ in more than their weights, or in their masks; what cannot be trained, since a soup computes as
 * training does; images that cannot be read; a greedy choice without validation images; an aborted signal.
 */
export const soup =
  (
    ingredients: ReadonlyArray<Ingredient>,
    data: DataSet,
    recipe: Recipe,
    options: SoupOptions = {},
  ): TaskEither<Failure, Soup> =>
  async () => {
    const { choice = 'uniform', backend: chosen = 'auto' } = options
    const problem = wrongOption('SoupError', options, optionChoices) ?? optionsProblem(options)
    if (problem !== undefined) return E.left(problem)
    const checked = checkIngredients(ingredients)
    if (E.isLeft(checked)) return checked
    const [{ masks, graph: like }] = checked.right
    const unfit = misfit(like, data)
    if (unfit !== undefined) return E.left(unfit)
    const backend = typeof chosen === 'string' ? await openBackend(chosen)() : E.right(chosen)
    if (E.isLeft(backend)) return backend
    const job: Job = { data, recipe, options, backend: backend.right }
    const alone = await eachAlone(job, checked.right)
    if (E.isLeft(alone)) return alone
    const made = choice === 'greedy' ? await greedy(job, alone.right) : await uniform(job, alone.right)
    if (E.isLeft(made)) return made
    const { blend, tried } = made.right
    const graph = applyMasks(blend.graph, masks)
    if (E.isLeft(graph)) return graph
    const { score, statisticsImages } = blend
    return E.right({
      ...{ graph: graph.right, masks, choice, ingredients: tried, statisticsImages },
      ...(score === undefined ? {} : { validation: score }),
    })
  }

const optionsProblem = ({ choice, validate, statisticsImages = 1 }: SoupOptions): Failure | undefined => {
  if (!(Number.isSafeInteger(statisticsImages) && statisticsImages >= 1)) {
    const help = 'Leave it out to look at those of an epoch.'
    return soupError('statisticsImages', 'a whole number of at least 1', `${statisticsImages}`, help)
  }
  if (choice !== 'greedy' || validate !== false) return undefined
  const help = 'Take all networks (uniform), or train them with the same validation images.'
  return soupError('greedy choice', 'validation images that no network was trained on', 'none', help)
}

/** What the parts of one call share. */
interface Job {
  readonly data: DataSet
  readonly recipe: Recipe
  readonly options: SoupOptions
  readonly backend: Backend
}

/** A network with what is known of it. */
interface Scored {
  readonly graph: Graph
  readonly score: Score | undefined
}

interface Alone extends Scored {
  readonly ingredient: Ingredient
}

/** The mean of some ingredients. */
interface Blend extends Scored {
  readonly statisticsImages: number
}

interface Made {
  readonly blend: Blend
  readonly tried: ReadonlyArray<TriedIngredient>
}

type Result<A> = Promise<E.Either<Failure, A>>

const eachAlone = async (job: Job, [first, ...others]: Some<Ingredient>): Result<Some<Alone>> => {
  const one = async (ingredient: Ingredient): Result<Alone> => {
    const { name, graph } = ingredient
    return E.map((score: Score | undefined): Alone => ({ ingredient, graph, score }))(await validated(job, graph, name))
  }
  const begun = await one(first)
  if (E.isLeft(begun)) return begun
  const rest: Alone[] = []
  for (const other of others) {
    const next = await one(other)
    if (E.isLeft(next)) return next
    rest.push(next.right)
  }
  return E.right([begun.right, ...rest])
}

const uniform = async (job: Job, alone: Some<Alone>): Result<Made> => {
  const blend = await blendOf(job, alone)
  if (E.isLeft(blend)) return blend
  return E.right({ blend: blend.right, tried: alone.map((one) => triedOf(one, undefined, true)) })
}

const greedy = async (job: Job, alone: Some<Alone>): Result<Made> => {
  const accuracyOf = ({ score }: Scored): number => score?.accuracy ?? 0
  const [best, ...others] = alone.toSorted((a, b) => accuracyOf(b) - accuracyOf(a))
  invariant(best !== undefined, 'a choice among no networks')
  const first = await blendOf(job, [best])
  if (E.isLeft(first)) return first
  let [blend, parts]: [Blend, Some<Alone>] = [first.right, [best]]
  const tried = [triedOf(best, undefined, true)]
  for (const one of others) {
    const next = await blendOf(job, [...parts, one])
    if (E.isLeft(next)) return next
    const used = accuracyOf(next.right) >= accuracyOf(blend)
    tried.push(triedOf(one, next.right.score, used))
    if (used) [blend, parts] = [next.right, [...parts, one]]
  }
  return E.right({ blend, tried })
}

const triedOf = ({ ingredient, score }: Alone, soup: Score | undefined, used: boolean): TriedIngredient => ({
  name: ingredient.name,
  ...(score === undefined ? {} : { validation: score }),
  ...(soup === undefined ? {} : { soup }),
  used,
})

/** The mean of networks, with statistics and a score of its own; of one that network. */
const blendOf = async (job: Job, parts: Some<Alone>): Result<Blend> => {
  const [{ ingredient: first, score: known }, ...others] = parts
  if (others.length === 0) return E.right({ graph: first.graph, score: known, statisticsImages: 0 })
  const rest = others.map(({ ingredient }) => ingredient)
  const average = averageOf([first, ...rest])
  if (E.isLeft(average)) return average
  // As training has it, so that constants keep the names that the executor calls them by.
  const clean = runPipeline(cleanUp, average.right)
  if (E.isLeft(clean)) return clean
  const { data, recipe, backend, options } = job
  const { statisticsImages = data.train.size, signal, onProgress } = options
  const { name } = rest.at(-1) ?? first
  const estimated = await withStatistics(clean.right, data, recipe, {
    ...{ backend, images: statisticsImages, signal },
    onProgress: (done, of) => onProgress?.({ doing: 'statistics', name, done, of }),
  })
  if (E.isLeft(estimated)) return estimated
  if (estimated.right === undefined) return E.left(stopped)
  const { graph, images } = estimated.right
  const score = await validated(job, graph, name)
  return E.isLeft(score) ? score : E.right({ graph, score: score.right, statisticsImages: images })
}

const stopped = soupError('soup', 'to be finished', 'a signal to stop', 'Make it again; nothing is lost but time.')

/** The score on the validation images; undefined where these are not to be looked at. */
const validated = async (
  { data, recipe, backend, options }: Job,
  graph: Graph,
  name: string,
): Result<Score | undefined> => {
  if (options.validate === false) return E.right(undefined)
  const executor = buildExecutor(graph, backend)
  if (E.isLeft(executor)) return executor
  const state = executor.right.initialState()
  try {
    const score = await evaluate(executor.right, state, data, {
      ...{ part: 'validation', batch: recipe.batch, signal: options.signal },
      onProgress: ({ done, of }) => options.onProgress?.({ doing: 'validation', name, done, of }),
    })
    return E.isRight(score) && score.right === undefined ? E.left(stopped) : score
  } finally {
    disposeAll(state.parameters)
    disposeAll(state.statistics)
    executor.right.dispose()
  }
}
