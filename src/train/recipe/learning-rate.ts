/** The learning rate at every step, as plain data. */
import type { Entries } from './reader.ts'
import type { Length } from '../sparse/methods/entries.ts'

/**
 * Rises in a line from 0 to `peak` over `warmup` epochs, then `constant`; `step`: times `factor` at each of the fractions
 * `at` of the training; `cosine`: falls to `final` (a fraction of `peak`) by half a cosine over the rest of the training.
 *
 * `per` says how long a cosine, and the rise before it, hold a value: a `step` or an `epoch`. With w of n of these for the
 * rise, the cosine has covered (t - 1 - w) / (n - w) of its way at step t > w, and (t - w) / (n - w + 1) in epoch t > w, as
 * PyTorch's scheduler that is stepped before each epoch.
 */
export type LearningRate = { readonly peak: number; readonly warmup: number } & (
  | { readonly schedule: 'constant' }
  | { readonly schedule: 'step'; readonly at: ReadonlyArray<number>; readonly factor: number }
  | { readonly schedule: 'cosine'; readonly final: number; readonly per: 'step' | 'epoch' }
)

export const readLearningRate = (entries: Entries | undefined): LearningRate => {
  if (entries === undefined) return { schedule: 'step', peak: 0.1, warmup: 0, at: [0.5, 0.75], factor: 0.1 }
  const rate = read(entries)
  entries.end()
  return rate
}

const read = (entries: Entries): LearningRate => {
  const schedule = entries.choice('schedule', ['step', 'cosine', 'constant'], 'step', 'all')
  const peak = entries.number('peak', { min: 0, aboveMin: true }, 0.1)
  const warmup = (whole: boolean): number => entries.number('warmup', { min: 0, whole }, 0)
  switch (schedule) {
    case 'constant':
      return { schedule, peak, warmup: warmup(false) }
    case 'step':
      return {
        schedule,
        peak,
        warmup: warmup(false),
        at: entries.numbers('at', { min: 0, max: 1 }, [0.5, 0.75]),
        factor: entries.number('factor', { min: 0, max: 1 }, 0.1),
      }
    case 'cosine': {
      const per = entries.choice('per', ['step', 'epoch'], 'step')
      const final = entries.number('final', { min: 0, max: 1 }, 0)
      return { schedule, peak, warmup: warmup(per === 'epoch'), final, per }
    }
  }
}

/** The learning rate of step `step`, the first being 1. */
export const learningRateAt = (rate: LearningRate, step: number, { steps, stepsPerEpoch }: Length): number => {
  if (rate.schedule === 'cosine' && rate.per === 'epoch') {
    const [epoch, epochs] = [Math.ceil(step / stepsPerEpoch), Math.round(steps / stepsPerEpoch)]
    if (epoch <= rate.warmup) return (rate.peak * epoch) / rate.warmup
    return cosine(rate, (epoch - rate.warmup) / (epochs - rate.warmup + 1))
  }
  const warmup = Math.round(rate.warmup * stepsPerEpoch)
  if (step <= warmup) return (rate.peak * step) / warmup
  switch (rate.schedule) {
    case 'constant':
      return rate.peak
    case 'step': {
      const passed = rate.at.filter((part) => step > Math.round(part * steps)).length
      return rate.peak * rate.factor ** passed
    }
    case 'cosine':
      return cosine(rate, (step - 1 - warmup) / Math.max(1, steps - warmup))
  }
}

const cosine = ({ peak, final }: { readonly peak: number; readonly final: number }, covered: number): number =>
  peak * (final + ((1 - final) * (1 + Math.cos(Math.PI * covered))) / 2)
