/** Training in browsers: on a backend that is open, checkpoints wherever the page keeps bytes. */
import * as E from 'fp-ts/lib/Either.js'
import * as TE from 'fp-ts/lib/TaskEither.js'
import type { Graph } from '../../ir/graph.ts'
import { type Choice, wrongOption } from '../../ir/options.ts'
import type { Backend } from '../backend/backend.ts'
import type { DataSet } from '../data/index.ts'
import type { Recipe } from '../recipe/index.ts'
import type { Store } from './checkpoint.ts'
import { trainError, type TrainError } from './error.ts'
import { type CheckpointTimes, runTraining, type Trained, trainingChoices, type TrainingOptions } from './training.ts'

export interface BrowserCheckpointOptions extends CheckpointTimes {
  /** Gives the bytes that were written last; undefined where there are none. Not asked without `resume`. */
  readonly read: () => Promise<Uint8Array | undefined>
  /** Keeps bytes in the place of those before, whole or not at all: in the file system of the page, or in a database. */
  readonly write: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>
}

export interface BrowserTrainOptions extends TrainingOptions {
  readonly backend: Backend
  readonly checkpoint?: BrowserCheckpointOptions
}

const checkpointChoices: Readonly<Record<keyof BrowserCheckpointOptions, Choice>> = {
  read: 'any',
  write: 'any',
  every: 'any',
  resume: 'any',
}

const optionChoices: Readonly<Record<keyof BrowserTrainOptions, Choice>> = {
  backend: 'any',
  checkpoint: 'any',
  ...trainingChoices,
}

/** Trains as `train` of `chasec` does, to the same bits on the same kernels. Errors: those, and what `read` and `write` reject with. */
export const train =
  (graph: Graph, data: DataSet, recipe: Recipe, options: BrowserTrainOptions): TE.TaskEither<TrainError, Trained> =>
  async () => {
    const { backend, checkpoint } = options
    const problem =
      wrongOption('TrainError', options, optionChoices) ??
      wrongOption('TrainError', checkpoint ?? {}, checkpointChoices)
    if (problem !== undefined) return E.left(problem)
    return runTraining({
      ...{ graph, data, recipe, options },
      backend: TE.right(backend),
      checkpoint: checkpoint === undefined ? undefined : { ...checkpoint, store: storeOf(checkpoint) },
    })
  }

const storeOf = ({ read, write }: BrowserCheckpointOptions): Store => ({
  name: 'checkpoint',
  read: () => attempt(read, 'bytes that can be read'),
  write: (chunks) =>
    attempt(async () => {
      await write(joined([...chunks]))
      return undefined
    }, 'bytes that can be kept'),
})

const attempt = async <T>(ask: () => Promise<T>, expected: string): Promise<E.Either<TrainError, T>> => {
  try {
    return E.right(await ask())
  } catch (thrown) {
    const found = thrown instanceof Error ? thrown.message : String(thrown)
    return E.left(
      trainError('checkpoint', expected, found, 'Look at what `read` and `write` do, and at the room that is left.'),
    )
  }
}

const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array<ArrayBuffer> => {
  const out = new Uint8Array(chunks.reduce((size, chunk) => size + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}
