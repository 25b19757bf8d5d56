/** Training in Node: backends by name, checkpoints in files. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../../ir/graph.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import type { Backend, BackendName } from '../backend/backend.ts'
import { openBackend } from '../backend/open.ts'
import type { DataSet } from '../data/index.ts'
import type { Recipe } from '../recipe/index.ts'
import { fileStore } from './checkpoint-file.ts'
import type { TrainError } from './error.ts'
import {
  type CheckpointTimes,
  runTraining,
  type Trained,
  type Training,
  trainingChoices,
  type TrainingOptions,
  tryRunning,
} from './training.ts'

export interface CheckpointOptions extends CheckpointTimes {
  readonly path: string
}

export interface TrainOptions extends TrainingOptions {
  /** One that is open, or the name of one. Absent: the best that this machine has. */
  readonly backend?: Backend | BackendName | 'auto'
  readonly checkpoint?: CheckpointOptions
}

const checkpointChoices: Readonly<Record<keyof CheckpointOptions, Choice>> = {
  path: 'any',
  every: 'any',
  resume: 'any',
}

const optionChoices: Readonly<Record<keyof TrainOptions, Choice>> = {
  backend: 'any',
  checkpoint: 'any',
  ...trainingChoices,
}

const trainingOf = (
  graph: Graph,
  data: DataSet,
  recipe: Recipe,
  options: TrainOptions,
): E.Either<TrainError, Training> => {
  const problem =
    wrongOption('TrainError', options, optionChoices) ??
    wrongOption('TrainError', options.checkpoint ?? {}, checkpointChoices)
  if (problem !== undefined) return E.left(problem)
  const { backend = 'auto', checkpoint } = options
  return E.right({
    ...{ graph, data, recipe, options },
    backend: typeof backend === 'string' ? openBackend(backend) : TE.right(backend),
    checkpoint: checkpoint === undefined ? undefined : { ...checkpoint, store: fileStore(checkpoint.path) },
  })
}

/**
 * Trains `graph`, whose input takes images of the data and whose first output holds a logit for each class. The validation
 * images are evaluated after each epoch, the test images once, after the last. The same arguments and backend give the
 * same weights, to the last bit, also when training was stopped or killed and resumed in between.
 *
 * Errors: an operator that cannot be trained, data that cannot be read or do not fit, a backend that does not load, a
 * policy that does not fit the network, a loss that is no number, a checkpoint that cannot be written or is of another run.
 */
export const train =
  (graph: Graph, data: DataSet, recipe: Recipe, options: TrainOptions = {}): TE.TaskEither<TrainError, Trained> =>
  async () => {
    const training = trainingOf(graph, data, recipe, options)
    return E.isLeft(training) ? training : runTraining(training.right)
  }

/** Does what {@link train} does before its first step, and leaves it there: all that it refuses by then, nothing else. */
export const tryTraining =
  (graph: Graph, data: DataSet, recipe: Recipe, options: TrainOptions = {}): TE.TaskEither<TrainError, undefined> =>
  async () => {
    const training = trainingOf(graph, data, recipe, options)
    return E.isLeft(training) ? training : tryRunning(training.right)
  }
