/** Gradual magnitude pruning. */
import type { Policy } from '../policy.ts'
import { offsetTo } from './ending.ts'
import { readDensity, readEvery, readSpan, stepAt, stepsOf, usualInterval } from './entries.ts'
import { defineMethod } from './method.ts'

export interface GradualMagnitudeOptions {
  readonly density: number
  /** The steps between which the density falls from 1, by a cubic. */
  readonly begin: number
  readonly end: number
  readonly every?: number
  /** `layer`: the same density everywhere; `global`: one threshold over all layers. */
  readonly scope?: 'layer' | 'global'
}

/** Gradual magnitude pruning (GMP), from a dense network; the density is reached exactly at `end`. */
export const gradualMagnitude = ({
  density,
  begin,
  end,
  every = 1000,
  scope = 'layer',
}: GradualMagnitudeOptions): Policy => ({
  name: 'gradual-magnitude',
  density,
  distribution: { kind: 'dense' },
  start: 'exact',
  phases: [
    {
      from: begin,
      until: end + 1,
      every,
      offset: offsetTo(end, every),
      moves: [
        {
          kind: 'prune',
          to: { density: { kind: 'cubic', from: 1, to: density, begin, end } },
          scope,
          by: { kind: 'magnitude' },
        },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'gmp',
  about: 'Gradual magnitude pruning of a dense network; the density falls by a cubic.',
  source: {
    paper: 'To Prune, or Not to Prune: Exploring the Efficacy of Pruning for Model Compression',
    arxiv: '1710.01878',
    code: 'tensorflow/model-optimization',
  },
  sentences: {
    until: 'From then on the density is reached, and masks stay.',
    scope: '`layer`: the same density everywhere. `global`: one threshold over all layers.',
  },
  read: (entries) => ({
    ...readDensity(entries),
    ...readEvery(entries, usualInterval),
    ...readSpan(entries, 0.1, 0.75),
    scope: entries.choice('scope', ['layer', 'global'], 'global'),
  }),
  policy: (entry, length) =>
    gradualMagnitude({
      ...entry,
      begin: stepAt(entry.begin, length),
      end: Math.max(1, stepAt(entry.until, length)),
      every: stepsOf(entry.every, length),
    }),
})
