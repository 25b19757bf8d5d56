/** Steps of the training loop, timed one by one: runs that take turns are hit alike by whatever else a machine does. */
import * as E from 'fp-ts/lib/Either.js'
import { type Failure, renderError } from '../src/ir/failure.ts'
import type { Graph } from '../src/ir/graph.ts'
import { quartiles } from '../src/run/statistics.ts'
import type { Backend } from '../src/train/backend/index.ts'
import { type DataSet, drawTrainingBatch, loadBatch } from '../src/train/data/index.ts'
import { type Run, startRun, trainableOf } from '../src/train/loop/run.ts'
import { type Stepped, trainStep } from '../src/train/loop/step.ts'
import { decodeRecipe, type Length, policyOf, type Recipe } from '../src/train/recipe/index.ts'

export const orThrow = <A>(result: E.Either<Failure, A>): A => {
  if (E.isLeft(result)) throw new Error(renderError(result.left))
  return result.right
}

export const recipeOf = (description: Readonly<Record<string, unknown>>): Recipe => {
  const recipe = decodeRecipe(description)
  if (E.isLeft(recipe)) throw new Error(recipe.left.map(renderError).join('\n'))
  return recipe.right
}

export interface Trainee {
  readonly run: Run
  readonly data: DataSet
  readonly recipe: Recipe
  readonly length: Length
}

export const startTrainee = (
  graph: Graph,
  backend: Backend,
  data: DataSet,
  recipe: Recipe,
  length: Length,
): Trainee => {
  const run = orThrow(startRun(orThrow(trainableOf(graph, backend)), policyOf(recipe.method, length), recipe.seed))
  return { run, data, recipe, length }
}

/** Milliseconds on the clock, and those that the process spent computing, all its threads together. */
export interface StepTime {
  readonly wall: number
  readonly cpu: number
}

export interface TimedStep extends Stepped {
  readonly time: StepTime
}

/** What the process has spent computing so far. */
export const cpuMilliseconds = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

/** Trains on the next batch, which is loaded before the time starts. */
export const timedStep = async ({ run, data, recipe, length }: Trainee): Promise<TimedStep> => {
  const drawn = drawTrainingBatch(data, run.cursor, recipe)
  const loaded = orThrow(await loadBatch(data, data.train, drawn)())
  run.cursor = drawn.next
  const [wall, cpu] = [performance.now(), cpuMilliseconds()]
  const stepped = orThrow(await trainStep(run, data, loaded, recipe, length))
  return { ...stepped, time: { wall: performance.now() - wall, cpu: cpuMilliseconds() - cpu } }
}

/** The two at `turn`, which of them comes first alternating. */
export const inTurns = <A>(turn: number, first: A, second: A): readonly [A, A] =>
  turn % 2 === 0 ? [first, second] : [second, first]

/** Medians over steps. */
export const medianTime = (times: ReadonlyArray<StepTime>): StepTime => ({
  wall: quartiles(times.map(({ wall }) => wall)).median,
  cpu: quartiles(times.map(({ cpu }) => cpu)).median,
})

/** Ratios of steps that were taken side by side: `times[i] / others[i]`. */
export const ratios = (times: ReadonlyArray<StepTime>, others: ReadonlyArray<StepTime>): ReadonlyArray<StepTime> =>
  times.flatMap(({ wall, cpu }, i) => {
    const other = others[i]
    return other === undefined ? [] : [{ wall: wall / other.wall, cpu: cpu / other.cpu }]
  })
