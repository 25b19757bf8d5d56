/** The learning rate at every step, as plain data. */
import type { Entries } from './reader.ts'
import type { Length } from './policy.ts'

/**
 * Rises in a line from 0 to `peak` over `warmup` epochs, then `constant`; `step`: times `factor` at each of the fractions
 * `at` of the training; `cosine`: falls to `final` (a fraction of `peak`) by half a cosine over the rest of the training.
 */
export type LearningRate = { readonly peak: number; readonly warmup: number } & (
  | { readonly schedule: 'constant' }
  | { readonly schedule: 'step'; readonly at: ReadonlyArray<number>; readonly factor: number }
  | { readonly schedule: 'cosine'; readonly final: number }
)

export const readLearningRate = (entries: Entries | undefined): LearningRate => {
  if (entries === undefined) return { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 }
  const schedule = entries.choice('schedule', ['step', 'cosine', 'constant'], 'step')
  const common = {
    peak: entries.number('peak', { min: 0, aboveMin: true }, 0.1),
    warmup: entries.number('warmup', { min: 0 }, 0),
  }
  switch (schedule) {
    case 'constant':
      return { schedule, ...common }
    case 'step':
      return {
        schedule,
        ...common,
        at: entries.numbers('at', { min: 0, max: 1 }, [0.5, 0.75]),
        factor: entries.number('factor', { min: 0, max: 1 }, 0.1),
      }
    case 'cosine':
      return { schedule, ...common, final: entries.number('final', { min: 0, max: 1 }, 0) }
  }
}

/** The learning rate of step `step`, the first being 1. */
export const learningRateAt = (rate: LearningRate, step: number, { steps, stepsPerEpoch }: Length): number => {
  const warmup = Math.round(rate.warmup * stepsPerEpoch)
  if (step <= warmup) return (rate.peak * step) / warmup
  switch (rate.schedule) {
    case 'constant':
      return rate.peak
    case 'step': {
      const passed = rate.at.filter((part) => step > Math.round(part * steps)).length
      return rate.peak * rate.factor ** passed
    }
    case 'cosine': {
      const covered = (step - 1 - warmup) / Math.max(1, steps - warmup)
      return rate.peak * (rate.final + ((1 - rate.final) * (1 + Math.cos(Math.PI * covered))) / 2)
    }
  }
}
