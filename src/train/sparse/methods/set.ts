/** SET. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import { constant } from '../schedule.ts'
import type { PruneCriterion } from '../scores.ts'
import { criterionOf, readCriterion } from './criteria.ts'
import { distributionOf, readEvery, readFraction, readSparse, share, stepAt, stepsOf } from './entries.ts'
import { defineMethod } from './method.ts'

export interface SetOptions {
  readonly density: number
  /** The step from which the topology stays as it is; in the paper the end of training. */
  readonly until: number
  /** Steps between exchanges: those of one epoch in the paper. */
  readonly every: number
  /** ζ, the fraction of positive and of negative weights that every layer exchanges. */
  readonly fraction?: number
  /** What weights are dropped by: those that score least. */
  readonly by?: PruneCriterion
  readonly distribution?: Distribution
}

/**
 * SET: every layer drops the positive and the negative weights nearest zero and grows as many anywhere. Grown weights start at
 * 0, as everywhere here; in the original at random numbers. Exactly as many grow as were dropped; in ITOP's code as many on
 * average.
 */
export const set = ({
  density,
  until,
  every,
  fraction = 0.3,
  by = { kind: 'signed' },
  distribution = { kind: 'er' },
}: SetOptions): Policy => ({
  name: 'set',
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
        { kind: 'prune', to: { fraction: constant(fraction) }, scope: 'layer', by },
        { kind: 'regrow', scope: 'layer', by: 'random', regrown: 'restarts' },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'set',
  about: 'Every layer drops the positive and the negative weights nearest 0 and grows as many anywhere.',
  source: {
    paper: 'Scalable Training of Artificial Neural Networks with Adaptive Sparse Connectivity',
    arxiv: '1707.04780',
    code: 'dcmocanu/sparse-evolutionary-artificial-neural-networks',
  },
  sentences: { fraction: 'ζ: fraction of the positive and of the negative weights that every layer exchanges.' },
  read: (entries) => ({
    ...readSparse(entries, 'er'),
    ...readEvery(entries, { epochs: 1 }),
    ...readFraction(entries, 0.3),
    ...readCriterion(entries, 'set'),
    until: entries.number('until', share, 1),
  }),
  policy: (entry, length) =>
    set({
      ...entry,
      until: stepAt(entry.until, length),
      every: stepsOf(entry.every, length),
      by: criterionOf(entry),
      distribution: distributionOf(entry),
    }),
})
