/** What the charts of a training show, as numbers over its epochs. */
import type { History, PlanEntry } from '../train/loop/history.ts'
import { type LearningRate, learningRateAt } from '../train/recipe/learning-rate.ts'

/** A place in time, in epochs, and a value. */
type Point = readonly [epoch: number, value: number]

export interface TrainingCurves {
  /** Epochs trained so far. */
  readonly epochs: number
  readonly loss: ReadonlyArray<Point>
  readonly validationLoss: ReadonlyArray<Point>
  readonly accuracy: ReadonlyArray<Point>
  readonly validationAccuracy: ReadonlyArray<Point>
  readonly learningRate: ReadonlyArray<Point>
  readonly density: ReadonlyArray<Point>
  readonly channels: ReadonlyArray<Point>
  /** When a run was made longer, and to how many epochs. */
  readonly extensions: ReadonlyArray<{ readonly epoch: number; readonly epochs: number }>
  readonly layers: LayersOverTime
}

/** What is left of each layer that carries a mask, when. */
export interface LayersOverTime {
  readonly times: ReadonlyArray<number>
  readonly layers: ReadonlyArray<{
    readonly name: string
    /** In the dense network. */
    readonly channels: number
    /** One for each time, as fractions of the dense layer. */
    readonly densities: ReadonlyArray<number>
    readonly channelsLeft: ReadonlyArray<number>
  }>
}

/** `rate`: the one of the recipe, of which the history has the last step of each epoch only. */
export const curvesOf = (history: History, rate: LearningRate): TrainingCurves => {
  const plans = history.filter((entry) => entry.kind === 'plan')
  const epochs = history.filter((entry) => entry.kind === 'epoch')
  const stepsPerEpoch = plans[0]?.stepsPerEpoch ?? (epochs[0] === undefined ? 1 : epochs[0].step / epochs[0].epoch)
  const at = (step: number): number => step / stepsPerEpoch
  const changes = history.filter((entry) => entry.kind !== 'test')
  return {
    epochs: at(history.at(-1)?.step ?? 0),
    loss: epochs.map(({ step, loss }) => [at(step), loss]),
    validationLoss: epochs.map(({ step, validation }) => [at(step), validation.loss]),
    accuracy: epochs.map(({ step, accuracy }) => [at(step), accuracy]),
    validationAccuracy: epochs.map(({ step, validation }) => [at(step), validation.accuracy]),
    learningRate: ratesOf(plans, rate, history.at(-1)?.step ?? 0, at),
    density: changes.map(({ step, density }) => [at(step), density]),
    channels: changes.map(({ step, channels }) => [at(step), channels]),
    extensions: plans
      .filter(({ step }) => step > 0)
      .map(({ step, epochs: count }) => ({ epoch: at(step), epochs: count })),
    layers: overTime(history, plans[0], at),
  }
}

/** Learning rates looked at in each part of a run. */
const mostRates = 200

const ratesOf = (
  plans: ReadonlyArray<PlanEntry>,
  rate: LearningRate,
  last: number,
  at: (step: number) => number,
): ReadonlyArray<Point> =>
  plans.flatMap(({ step: from, epochs, stepsPerEpoch }, i) => {
    const count = (plans[i + 1]?.step ?? last) - from
    const looked = Math.min(mostRates, count)
    return Array.from({ length: looked }, (_, k): Point => {
      const step = from + (looked === 1 ? 1 : 1 + Math.round((k * (count - 1)) / (looked - 1)))
      return [at(step), learningRateAt(rate, step, { steps: epochs * stepsPerEpoch, stepsPerEpoch })]
    })
  })

const overTime = (history: History, plan: PlanEntry | undefined, at: (step: number) => number): LayersOverTime => {
  const states = history.filter((entry) => entry.kind === 'plan' || entry.kind === 'epoch')
  return {
    times: states.map(({ step }) => at(step)),
    layers: (plan?.layers ?? []).map(({ name, channels }, l) => ({
      name,
      channels,
      densities: states.map(({ layerDensities }) => layerDensities[l] ?? 0),
      channelsLeft: states.map(({ layerChannels }) => (layerChannels[l] ?? 0) / Math.max(1, channels)),
    })),
  }
}
