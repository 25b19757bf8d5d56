/** What happened while training, as plain data, and as text. */

/** Loss and accuracy (a fraction of 1) over a part of the data. */
export interface Score {
  readonly loss: number
  readonly accuracy: number
}

export interface EpochEntry extends Score {
  readonly kind: 'epoch'
  /** From 1. */
  readonly epoch: number
  /** Steps so far. */
  readonly step: number
  /** Of the epoch's last step. */
  readonly learningRate: number
  readonly validation: Score
  /** Kept weights as a fraction of all that count. */
  readonly density: number
  /** Channels that are not removed. */
  readonly channels: number
  /** Spent on the epoch's steps, evaluation and checkpoints not included. */
  readonly seconds: number
  readonly stepsPerSecond: number
}

/** A change of the masks. */
export interface UpdateEntry {
  readonly kind: 'update'
  readonly step: number
  readonly density: number
  readonly live: number
  readonly pruned: number
  readonly grown: number
  /** Channels removed by it, and those left. */
  readonly removed: number
  readonly channels: number
}

export interface TestEntry extends Score {
  readonly kind: 'test'
  readonly step: number
}

export type HistoryEntry = EpochEntry | UpdateEntry | TestEntry

export type History = ReadonlyArray<HistoryEntry>

/** One JSON object a line. */
export const historyLines = (history: History): string => history.map((entry) => `${JSON.stringify(entry)}\n`).join('')

const columns: ReadonlyArray<readonly [name: string, value: (entry: EpochEntry) => number]> = [
  ['epoch', (entry) => entry.epoch],
  ['step', (entry) => entry.step],
  ['learning_rate', (entry) => entry.learningRate],
  ['loss', (entry) => entry.loss],
  ['accuracy', (entry) => entry.accuracy],
  ['validation_loss', (entry) => entry.validation.loss],
  ['validation_accuracy', (entry) => entry.validation.accuracy],
  ['density', (entry) => entry.density],
  ['channels', (entry) => entry.channels],
  ['seconds', (entry) => entry.seconds],
  ['steps_per_second', (entry) => entry.stepsPerSecond],
]

/** The epochs as comma-separated values under a line of names. */
export const historyTable = (history: History): string => {
  const epochs = history.filter((entry) => entry.kind === 'epoch')
  const rows = epochs.map((entry) => columns.map(([, value]) => value(entry)).join(','))
  return [columns.map(([name]) => name).join(','), ...rows, ''].join('\n')
}
