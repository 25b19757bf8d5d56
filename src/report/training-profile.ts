/** What a training step takes, layer by layer, in medians. */
import { quartiles } from '../run/statistics.ts'
import type { StepProfile } from '../train/executor/profile.ts'

/** Milliseconds. */
export interface ProfiledLayer {
  readonly label: string
  readonly forward: number
  readonly backward: number
  /** Of the whole step. */
  readonly share: number
}

export interface ProfiledStep {
  readonly batch: number
  readonly step: number
  readonly layers: ReadonlyArray<ProfiledLayer>
  readonly optimiser: number
  /** The loss, and what lies between layers. */
  readonly rest: number
}

const median = (values: ReadonlyArray<number>): number => (values.length === 0 ? 0 : quartiles(values).median)

export const summariseProfile = ({ batch, layers, optimiser, steps }: StepProfile): ProfiledStep => {
  const step = median(steps)
  const rows = layers.map(({ label, forward, backward }) => {
    const [ahead, back] = [median(forward), median(backward)]
    return { label, forward: ahead, backward: back, share: (ahead + back) / step }
  })
  const spent = rows.reduce((sum, { forward, backward }) => sum + forward + backward, 0)
  const update = median(optimiser)
  return { batch, step, layers: rows, optimiser: update, rest: Math.max(0, step - spent - update) }
}
