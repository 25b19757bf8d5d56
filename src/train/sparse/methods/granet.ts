/** GraNet. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import { offsetTo } from './ending.ts'
import {
  distributionOf,
  kept,
  notBelow,
  readEvery,
  readFraction,
  readSparse,
  share,
  stepAt,
  stepsOf,
  usualInterval,
} from './entries.ts'
import { defineMethod } from './method.ts'

export interface GraNetOptions {
  readonly density: number
  /** The density training begins with; 1 is dense-to-sparse. */
  readonly initialDensity?: number
  /** The steps between which the density falls, by a cubic. */
  readonly begin: number
  readonly end: number
  /** Training steps; weights are exchanged until the end. */
  readonly steps: number
  readonly every?: number
  /** The fraction of each layer's weights that is exchanged: at first and, by a cosine, in the end. */
  readonly fraction?: number
  readonly finalFraction?: number
  readonly distribution?: Distribution
}

/**
 * GraNet: prunes gradually by one |w| threshold over all layers; after each time every layer drops a further fraction and grows as many
 * by gradient, which lets damaged connections recover at no cost. What the global threshold takes is gone at once: grown again
 * in the same update, it starts from 0; what a layer drops and grows again goes on with its value.
 *
 * Unlike the released code, counts are met exactly (there, thresholds lose ties), and the density is reached at `end`, not one
 * update short of it.
 */
export const granet = ({
  density,
  initialDensity = 0.5,
  begin,
  end,
  steps,
  every = 1000,
  fraction = 0.5,
  finalFraction = 0.005,
  distribution = { kind: 'erk' },
}: GraNetOptions): Policy => ({
  name: 'granet',
  density: initialDensity,
  distribution,
  start: 'exact',
  phases: [
    {
      from: begin,
      until: steps,
      every,
      offset: offsetTo(end, every),
      moves: [
        {
          kind: 'prune',
          to: { density: { kind: 'cubic', from: initialDensity, to: density, begin, end } },
          scope: 'global',
          by: { kind: 'magnitude' },
          forgets: true,
        },
        {
          kind: 'prune',
          to: { fraction: { kind: 'cosine', from: fraction, to: finalFraction, begin: 0, end: steps } },
          scope: 'layer',
          by: { kind: 'magnitude' },
        },
        { kind: 'regrow', scope: 'layer', by: 'gradient', regrown: 'continues' },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'granet',
  about:
    'Prunes gradually over all layers; each time every layer drops a further fraction and grows as many by gradient.',
  source: {
    paper: 'Sparse Training via Boosting Pruning Plasticity with Neuroregeneration',
    arxiv: '2106.10404',
    code: 'VITA-Group/GraNet',
  },
  sentences: {
    fraction: "Fraction of each layer's kept weights that is exchanged at first; falls by a cosine to the end.",
    initialDensity: 'The density that training begins with; 1 begins dense. Not below `density`.',
    until: 'From then on the density is reached; weights are exchanged until the end.',
  },
  read: (entries) => {
    const shared = readSparse(entries)
    const initialDensity = entries.number('initialDensity', kept, Math.max(0.5, shared.density))
    return {
      ...shared,
      ...readEvery(entries, usualInterval),
      ...readFraction(entries, 0.5),
      initialDensity: notBelow(entries, 'initialDensity', initialDensity, shared.density, 'the density'),
      until: entries.number('until', share, 0.7),
    }
  },
  policy: (entry, length) =>
    granet({
      ...entry,
      begin: 0,
      end: stepAt(entry.until, length),
      steps: length.steps,
      every: stepsOf(entry.every, length),
      distribution: distributionOf(entry),
    }),
})
