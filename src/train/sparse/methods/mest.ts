/** MEST. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import { constant } from '../schedule.ts'
import { distributionOf, readEvery, readSparse, share, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

export interface MestOptions {
  readonly density: number
  /** The step from which the topology stays as it is. The last update before it should grow nothing. */
  readonly until: number
  /** Steps between updates: those of five epochs in the authors' runs. */
  readonly every: number
  /** The density grown to, by the step from which it holds: the soft memory bound, which becomes tighter. */
  readonly growTo: ReadonlyArray<{ readonly step: number; readonly value: number }>
  /** λ: what a gradient counts against a weight when pruning. 0 looks at magnitudes alone. */
  readonly gradient?: number
  readonly scope?: 'layer' | 'global'
  readonly distribution?: Distribution
}

/**
 * MEST with elastic mutation and soft memory bound: prunes to the density by |w| + λ |∂L/∂w|, then grows beyond it at random,
 * by less and less, so that a grown weight is judged only after an interval of training.
 */
export const mest = ({
  density,
  until,
  every,
  growTo,
  gradient = 0.01,
  scope = 'layer',
  distribution = { kind: 'uniform' },
}: MestOptions): Policy => ({
  name: 'mest',
  density,
  distribution,
  start: 'exact',
  phases: [
    {
      from: 0,
      until,
      every,
      offset: 0,
      moves: [
        {
          kind: 'prune',
          to: { density: constant(density) },
          scope,
          by: gradient === 0 ? { kind: 'magnitude' } : { kind: 'magnitude and gradient', gradient },
        },
        {
          kind: 'grow',
          density: { kind: 'steps', values: growTo },
          scope: scope === 'global' ? 'global' : 'proportional',
          by: 'random',
          regrown: 'restarts',
        },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'mest',
  about: 'Prunes by weight and gradient, then grows beyond the density at random, by less and less.',
  source: {
    paper: 'MEST: Accurate and Fast Memory-Economic Sparse Training Framework on the Edge',
    arxiv: '2110.14032',
    code: 'boone891214/MEST',
  },
  sentences: { margin: 'How far beyond the density weights are grown at first.' },
  read: (entries) => ({
    ...readSparse(entries, 'uniform'),
    ...readEvery(entries, { epochs: 5 }),
    margin: entries.number('margin', share, 0.05),
    until: entries.number('until', share, 0.9),
  }),
  policy: (entry, length) => {
    const { density, margin } = entry
    const [until, every] = [stepAt(entry.until, length), stepsOf(entry.every, length)]
    const last = Math.max(0, Math.ceil(until / every) - 1) * every
    const high = Math.min(1, density + margin)
    const growTo = [
      { step: 0, value: high },
      { step: Math.floor(last / 2), value: (high + density) / 2 },
      { step: last, value: density },
    ]
    return mest({ density, until, every, growTo, distribution: distributionOf(entry) })
  },
})
