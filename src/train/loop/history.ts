/** What happened while training, as plain data, and as text. */
import { isRecord } from '../../ir/record.ts'

/** Loss and accuracy (a fraction of 1) over a part of the data. */
export interface Score {
  readonly loss: number
  readonly accuracy: number
}

/** What is left of each layer, in the order of the plan's layers. */
export interface LayersLeft {
  /** Kept weights as a fraction of those of the dense layer. */
  readonly layerDensities: ReadonlyArray<number>
  /** Output channels that are not removed. */
  readonly layerChannels: ReadonlyArray<number>
}

/** What is to be done from a step on: noted when training begins, and when a run is made longer. */
export interface PlanEntry extends LayersLeft {
  readonly kind: 'plan'
  /** Steps so far. */
  readonly step: number
  /** In all, those before this entry included. */
  readonly epochs: number
  readonly stepsPerEpoch: number
  readonly density: number
  /** Channels that are not removed. */
  readonly channels: number
  /** Weights and output channels of every layer that carries a mask, as in the dense network. */
  readonly layers: ReadonlyArray<{ readonly name: string; readonly weights: number; readonly channels: number }>
}

export interface EpochEntry extends Score, LayersLeft {
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

export type HistoryEntry = PlanEntry | EpochEntry | UpdateEntry | TestEntry

export type History = ReadonlyArray<HistoryEntry>

/** The plan that a history ends by. */
export const lastPlan = (history: History): PlanEntry | undefined => history.findLast((entry) => entry.kind === 'plan')

const score = ['loss', 'accuracy'] as const

/** The numbers of each kind of entry, all required. */
const entryNumbers: Readonly<Record<HistoryEntry['kind'], ReadonlyArray<string>>> = {
  plan: ['step', 'epochs', 'stepsPerEpoch', 'density', 'channels'],
  epoch: [...score, 'epoch', 'step', 'learningRate', 'density', 'channels', 'seconds', 'stepsPerSecond'],
  update: ['step', 'density', 'live', 'pruned', 'grown', 'removed', 'channels'],
  test: [...score, 'step'],
}

const hasNumbers = (x: Readonly<Record<string, unknown>>, keys: ReadonlyArray<string>): boolean =>
  keys.every((key) => typeof x[key] === 'number')

const areNumbers = (x: unknown): boolean => Array.isArray(x) && x.every((one) => typeof one === 'number')

const hasLayers = (x: Readonly<Record<string, unknown>>): boolean =>
  areNumbers(x['layerDensities']) && areNumbers(x['layerChannels'])

const isLayer = (x: unknown): boolean =>
  isRecord(x) && typeof x['name'] === 'string' && hasNumbers(x, ['weights', 'channels'])

/** Whether data that were read are an entry of a history. */
export const isEntry = (x: unknown): x is HistoryEntry => {
  if (!isRecord(x)) return false
  const { kind, layers, validation } = x
  if (kind !== 'plan' && kind !== 'epoch' && kind !== 'update' && kind !== 'test') return false
  if (!hasNumbers(x, entryNumbers[kind])) return false
  if (kind === 'plan') return hasLayers(x) && Array.isArray(layers) && layers.every(isLayer)
  return kind !== 'epoch' || (hasLayers(x) && isRecord(validation) && hasNumbers(validation, score))
}

/** A number that is not finite: JSON has made it null. */
export const revived = (_: string, x: unknown): unknown => (x === null ? NaN : x)

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
