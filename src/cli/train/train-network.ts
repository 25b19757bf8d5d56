/** Trains one network in the folder of its run, telling how it goes. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Masks } from '../../masks/mask.ts'
import { describeEpoch } from '../../report/training-table.ts'
import { formatPercent, formatSeconds } from '../../report/units.ts'
import {
  type Backend,
  type DataSet,
  type History,
  historyLines,
  historyTable,
  type Progress,
  type Recipe,
  train,
  type Trained,
} from '../../train/index.ts'
import type { Say } from '../progress.ts'
import type { Terminal } from '../terminal.ts'
import { writeFileWhole } from '../write-file.ts'
import { type RunFolder } from './run-folder.ts'

export interface TrainingJob {
  /** What messages call the network. */
  readonly title: string
  readonly graph: Graph
  readonly data: DataSet
  readonly recipe: Recipe
  readonly backend: Backend
  /** Weights that stay 0. */
  readonly masks?: Masks
  readonly folder: RunFolder
  readonly checkpointEvery?: number
  readonly resume: boolean
  readonly signal: AbortSignal
}

/** Milliseconds from one line of progress to the next. */
const interval = { terminal: 100, log: 10_000 } as const

/**
 * Trains, and leaves checkpoint and history in the folder. The end of every epoch is told in a line of its own, progress
 * in between by `say`.
 */
export const trainNetwork = async (
  terminal: Terminal,
  say: Say,
  { title, graph, data, recipe, backend, masks, folder, checkpointEvery, resume, signal }: TrainingJob,
): Promise<E.Either<Failure, Trained>> => {
  const tell = epochTeller(terminal, title, recipe.epochs)
  let written: Promise<E.Either<Failure, undefined>> = Promise.resolve(E.right(undefined))
  const trained = await train(graph, data, recipe, {
    backend,
    ...(masks === undefined ? {} : { masks }),
    checkpoint: {
      path: folder.checkpoint,
      resume,
      ...(checkpointEvery === undefined ? {} : { every: checkpointEvery }),
    },
    signal,
    onProgress: seldom(terminal.interactive ? interval.terminal : interval.log, (progress) =>
      say(`${title}: ${describeProgress(progress)}`),
    ),
    onHistory: (history) => {
      if (history.length === 0) return
      tell(history)
      const [lines, table] = [historyLines(history), historyTable(history)]
      written = written.then((before) => (E.isLeft(before) ? before : writeTexts(folder, lines, table)))
    },
  })()
  const kept = await written
  if (E.isLeft(trained)) return trained
  return E.isLeft(kept) ? kept : trained
}

const writeTexts = async (
  { historyLines: first, historyTable: second }: RunFolder,
  lines: string,
  table: string,
): Promise<E.Either<Failure, undefined>> => {
  const encoder = new TextEncoder()
  for (const [path, text] of [
    [first, lines],
    [second, table],
  ] as const) {
    const done = await writeFileWhole(path, [encoder.encode(text)], true)
    if (E.isLeft(done)) return done
  }
  return E.right(undefined)
}

/** Tells of the epochs that it has not told of yet. */
const epochTeller = (terminal: Terminal, title: string, epochs: number): ((history: History) => void) => {
  let count = 0
  return (history) => {
    const entries = history.filter((entry) => entry.kind === 'epoch')
    for (const entry of entries.slice(count)) terminal.note(`${title}: ${describeEpoch(entry, epochs)}`)
    count = entries.length
  }
}

const seldom = <A>(milliseconds: number, call: (argument: A) => void): ((argument: A) => void) => {
  let last = -Infinity
  return (argument) => {
    const now = performance.now()
    if (now - last < milliseconds) return
    last = now
    call(argument)
  }
}

const describeProgress = (progress: Progress): string => {
  const { step, steps, epoch, epochs, loss, accuracy, density, channels, stepsPerSecond, secondsLeft } = progress
  return [
    `epoch ${epoch}/${epochs}`,
    `step ${step}/${steps}`,
    `loss ${loss.toFixed(3)}`,
    `accuracy ${formatPercent(accuracy)}`,
    `density ${formatPercent(density)}`,
    `channels ${channels.left}/${channels.of}`,
    `${stepsPerSecond.toPrecision(3)} steps/s`,
    `${formatSeconds(secondsLeft)} left`,
  ].join('  ')
}
