/** RigL-ITOP. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import type { PruneCriterion } from '../scores.ts'
import { criterionOf, readCriterion } from './criteria.ts'
import { distributionOf, readEvery, readFraction, readSparse, stepsOf, usualInterval } from './entries.ts'
import { defineMethod } from './method.ts'

export interface RigLItopOptions {
  readonly density: number
  /** Training steps; the topology changes until the end. */
  readonly steps: number
  readonly every?: number
  /** The fraction of each layer's weights that is exchanged: at first and, by a cosine, in the end. */
  readonly fraction?: number
  readonly finalFraction?: number
  /** What weights are dropped by: those that score least. */
  readonly by?: PruneCriterion
  readonly distribution?: Distribution
}

/**
 * RigL-ITOP: RigL with long intervals, in which grown weights have time to become worth keeping, a large exchange and no
 * early end, so that over time many weights take part. Counts are rounded to the nearest weight; the released code
 * rounds them up.
 */
export const riglItop = ({
  density,
  steps,
  every = 1000,
  fraction = 0.5,
  finalFraction = 0.005,
  by = { kind: 'magnitude' },
  distribution = { kind: 'erk' },
}: RigLItopOptions): Policy => ({
  name: 'rigl-itop',
  density,
  distribution,
  start: 'exact',
  phases: [
    {
      from: 0,
      until: steps,
      every,
      offset: 0,
      moves: [
        {
          kind: 'prune',
          to: { fraction: { kind: 'cosine', from: fraction, to: finalFraction, begin: 0, end: steps } },
          scope: 'layer',
          by,
        },
        { kind: 'regrow', scope: 'layer', by: 'gradient', regrown: 'continues' },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'rigl-itop',
  about: 'RigL with long intervals and a large exchange to the end, so that over time many weights take part.',
  source: {
    paper: 'Do We Actually Need Dense Over-Parameterization? In-Time Over-Parameterization in Sparse Training',
    arxiv: '2102.02887',
    code: 'Shiweiliuiiiiiii/In-Time-Over-Parameterization',
  },
  sentences: {
    fraction: "Fraction of each layer's kept weights that is exchanged at first; falls by a cosine to the end.",
  },
  read: (entries) => ({
    ...readSparse(entries),
    ...readEvery(entries, usualInterval),
    ...readFraction(entries, 0.5),
    ...readCriterion(entries, 'magnitude'),
  }),
  policy: (entry, length) =>
    riglItop({
      ...entry,
      steps: length.steps,
      every: stepsOf(entry.every, length),
      by: criterionOf(entry),
      distribution: distributionOf(entry),
    }),
})
