/** RigL. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import type { PruneCriterion } from '../scores.ts'
import { criterionOf, readCriterion } from './criteria.ts'
import { distributionOf, readEvery, readFraction, readSparse, share, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

export interface RigLOptions {
  readonly density: number
  /** The step from which the topology stays as it is; three quarters of the training steps in the paper. */
  readonly until: number
  readonly every?: number
  /** The fraction of each layer's weights that is exchanged at first; falls to 0 by a cosine. */
  readonly fraction?: number
  /** Whether the optimiser's step is left out where weights are exchanged. */
  readonly skipStep?: boolean
  /** What weights are dropped by: those that score least. */
  readonly by?: PruneCriterion
  readonly distribution?: Distribution
}

/**
 * RigL: every layer drops its smallest |w| and grows as many where the dense gradient is largest. A weight that is
 * dropped may come back at once and then goes on with its value. As in the original, a step that exchanges weights is not one
 * of the optimiser.
 *
 * Unlike the original, ties are broken by position, not by noise, and a skipped step counts as one of the training.
 */
export const rigl = ({
  density,
  until,
  every = 100,
  fraction = 0.3,
  skipStep = true,
  by = { kind: 'magnitude' },
  distribution = { kind: 'erk' },
}: RigLOptions): Policy => ({
  name: 'rigl',
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
          to: { fraction: { kind: 'cosine', from: fraction, to: 0, begin: 0, end: until } },
          scope: 'layer',
          by,
        },
        { kind: 'regrow', scope: 'layer', by: 'gradient', regrown: 'continues' },
      ],
    },
  ],
  masked: 'zeroed',
  skipsSteps: skipStep,
})

export const method = defineMethod({
  name: 'rigl',
  about: 'Every layer drops its smallest weights and grows as many where the gradient of the dense network is largest.',
  source: {
    paper: 'Rigging the Lottery: Making All Tickets Winners',
    arxiv: '1911.11134',
    code: 'google-research/rigl',
  },
  sentences: {
    skipStep: "Whether the optimiser's step is left out where weights are exchanged, as in the original.",
    fraction: "Fraction of each layer's kept weights that is exchanged at first; falls to 0 by a cosine.",
  },
  read: (entries) => ({
    ...readSparse(entries),
    ...readEvery(entries, 100),
    ...readFraction(entries, 0.3),
    ...readCriterion(entries, 'magnitude'),
    until: entries.number('until', share, 0.75),
    skipStep: entries.flag('skipStep', true),
  }),
  policy: (entry, length) =>
    rigl({
      ...entry,
      until: stepAt(entry.until, length),
      every: stepsOf(entry.every, length),
      by: criterionOf(entry),
      distribution: distributionOf(entry),
    }),
})
