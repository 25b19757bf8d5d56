/** How far training is. */
import type { Length } from '../recipe/index.ts'
import { channelsOf, densityOf } from './counts.ts'
import type { Run } from './run.ts'

export interface Progress {
  readonly step: number
  readonly steps: number
  /** From 1. */
  readonly epoch: number
  readonly epochs: number
  /** Over the epoch so far. */
  readonly loss: number
  readonly accuracy: number
  readonly density: number
  readonly channels: { readonly left: number; readonly of: number }
  /** Over the epoch so far; the time left goes by it, and by the time that evaluation has taken. */
  readonly stepsPerSecond: number
  readonly secondsLeft: number
}

/** How far the evaluation of a part of the data is, in images. */
export interface EvaluationProgress {
  readonly part: 'validation' | 'test'
  readonly done: number
  readonly of: number
}

/**
 * Tells of a run from step `from` on. Densities are counted when the masks have changed. The first step, in which kernels
 * are made ready, counts for the time left only while there is no other. `now`: milliseconds.
 */
export const progressMeter = (
  from: number,
  { steps }: Length,
  epochs: number,
  now: () => number = () => performance.now(),
): ((run: Run) => Progress) => {
  let anchor = { step: from, time: now() }
  let counted:
    { readonly of: Run['sparse']; readonly density: number; readonly channels: Progress['channels'] } | undefined
  return ({ sparse, step, tally, cursor }) => {
    if (counted?.of !== sparse) counted = { of: sparse, density: densityOf(sparse), channels: channelsOf(sparse) }
    const time = now()
    const secondsPerStep = (time - anchor.time) / 1000 / (step - anchor.step)
    if (step === from + 1) anchor = { step, time }
    return {
      step,
      steps,
      epoch: cursor.position === 0 ? cursor.epoch : cursor.epoch + 1,
      epochs,
      loss: tally.loss / tally.images,
      accuracy: tally.correct / tally.images,
      density: counted.density,
      channels: counted.channels,
      stepsPerSecond: tally.steps / tally.seconds,
      secondsLeft: secondsPerStep * (steps - step),
    }
  }
}
