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

/** Tells of a run from step `from` on. Densities are counted when the masks have changed. */
export const progressMeter = (from: number, { steps }: Length, epochs: number): ((run: Run) => Progress) => {
  const began = performance.now()
  let counted:
    { readonly of: Run['sparse']; readonly density: number; readonly channels: Progress['channels'] } | undefined
  return ({ sparse, step, tally, cursor }) => {
    if (counted?.of !== sparse) counted = { of: sparse, density: densityOf(sparse), channels: channelsOf(sparse) }
    const secondsPerStep = (performance.now() - began) / 1000 / (step - from)
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
