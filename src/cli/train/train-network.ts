/** Trains one network in the folder of its run, telling how it goes. */
import * as E from 'fp-ts/lib/Either.js'
import type { Failure } from '../../ir/failure.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Masks } from '../../masks/mask.ts'
import { describeEpoch } from '../../report/terminal/training-table.ts'
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
import { writeFileWhole } from '../write-file.ts'
import type { RunFolder } from './run-folder.ts'
import type { Alive } from './signs-of-life.ts'

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

/**
 * Trains, and leaves checkpoint and history in the folder. The end of every epoch is told in a line of its own, and once
 * how long it will take; progress in between by `say`.
 */
export const trainNetwork = async (
  { terminal, say, interval }: Alive,
  { title, graph, data, recipe, backend, masks, folder, checkpointEvery, resume, signal }: TrainingJob,
): Promise<E.Either<Failure, Trained>> => {
  const note = (text: string): void => terminal.note(`${title}: ${text}`)
  const tell = epochTeller(note, recipe.epochs)
  const estimate = estimator(note)
  const seldom = seldomSaid(say, interval)
  say(`${title}: making ready`)
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
    onProgress: (progress) => {
      estimate(progress)
      seldom(() => `${title}: ${describeProgress(progress)}`)
    },
    onEvaluation: ({ part, done, of }) => seldom(() => `${title}: looking at ${part} images, ${done}/${of}`),
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
    const done = await writeFileWhole(path, [encoder.encode(text)], { force: true })
    if (E.isLeft(done)) return done
  }
  return E.right(undefined)
}

/** Tells of the epochs that it has not told of yet, and of a run that is made longer. */
const epochTeller = (note: (text: string) => void, epochs: number): ((history: History) => void) => {
  let count = 0
  return (history) => {
    for (const entry of history.slice(count)) {
      if (entry.kind === 'epoch') note(describeEpoch(entry, epochs))
      if (entry.kind === 'plan' && entry.step > 0) {
        const from = `from step ${entry.step} on`
        note(
          `made longer, ${entry.epochs} epochs in all: ${from}, learning rate and schedules are those of the longer training`,
        )
      }
    }
    count = history.length
  }
}

/** What the time left is judged by: so many milliseconds and steps after the first one, or so much longer. */
const judged = { steps: 5, milliseconds: 3000, atMost: 20_000 } as const

/** Tells once how long training will take, as soon as the steps after the first one, in which kernels are made ready, show it. */
export const estimator = (
  note: (text: string) => void,
  now: () => number = () => performance.now(),
): ((progress: Progress) => void) => {
  let first: { readonly step: number; readonly time: number } | undefined
  let told = false
  return (progress) => {
    if (told) return
    const time = now()
    first ??= { step: progress.step, time }
    const [steps, elapsed] = [progress.step - first.step, time - first.time]
    if (steps < 1 || elapsed < judged.milliseconds || (steps < judged.steps && elapsed < judged.atMost)) return
    told = true
    const left = progress.steps - progress.step
    const speed = `${((1000 * steps) / elapsed).toPrecision(3)} steps/s`
    note(
      `${speed} at first: about ${formatSeconds(progress.secondsLeft)} for the ${left} steps left, evaluation not counted`,
    )
  }
}

/** Says nothing for so many milliseconds after something was said. */
const seldomSaid = (say: (text: string) => void, milliseconds: number): ((text: () => string) => void) => {
  let last = -Infinity
  return (text) => {
    const now = performance.now()
    if (now - last < milliseconds) return
    last = now
    say(text())
  }
}

/** A terminal that is narrow cuts the end off: what is looked at most comes first. */
const describeProgress = (progress: Progress): string => {
  const { step, steps, epoch, epochs, loss, accuracy, density, channels, stepsPerSecond, secondsLeft } = progress
  return [
    `epoch ${epoch}/${epochs}`,
    `step ${step}/${steps}`,
    `${formatSeconds(secondsLeft)} left`,
    `loss ${loss.toFixed(3)}`,
    `accuracy ${formatPercent(accuracy)}`,
    `density ${formatPercent(density)}`,
    `channels ${channels.left}/${channels.of}`,
    `${stepsPerSecond.toPrecision(3)} steps/s`,
  ].join('  ')
}
