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
  /** λ: what a gradient counts against a weight when pruning. 0 looks at magnitudes alone, as the released code. */
  readonly gradient?: number
  readonly scope?: 'layer' | 'global'
  readonly distribution?: Distribution
}

/**
 * MEST with elastic mutation and soft memory bound: prunes to the density by |w| + λ |∂L/∂w|, then grows beyond it at random,
 * by less and less, so that a grown weight is judged only after an interval of training.
 *
 * The bounds are those of the released scripts: density + margin, half of the margin from epoch 90 of 160 on, none from epoch
 * 120 on. Unlike there, masks are not updated before the first step either, and momenta of weights that were masked are 0.
 */
export const mest = ({
  density,
  until,
  every,
  growTo,
  gradient = 0,
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
  sentences: {
    margin: 'How far beyond the density weights are grown at first; half as far after three quarters of `until`.',
    gradient:
      'λ: what a gradient counts against a weight when pruning. 0 goes by weights alone, as the released code does.',
    until: 'From then on nothing grows beyond the density, and masks stay.',
  },
  read: (entries) => ({
    ...readSparse(entries, 'uniform'),
    ...readEvery(entries, { epochs: 5 }),
    margin: entries.number('margin', share, 0.05),
    gradient: entries.number('gradient', { min: 0 }, 0),
    until: entries.number('until', share, 120 / 160),
  }),
  policy: (entry, length) => {
    const { density, margin, gradient } = entry
    const [end, every] = [stepAt(entry.until, length), stepsOf(entry.every, length)]
    // The last update is the first at or after the end that the training still has: it must leave the density.
    const last = Math.max(1, Math.min(Math.ceil(end / every), Math.floor(length.steps / every))) * every
    const high = Math.min(1, density + margin)
    const growTo = [
      { step: 0, value: high },
      { step: Math.min(last, Math.round(0.75 * end)), value: (high + density) / 2 },
      { step: last, value: density },
    ]
    return mest({ density, until: last + 1, every, growTo, gradient, distribution: distributionOf(entry) })
  },
})
