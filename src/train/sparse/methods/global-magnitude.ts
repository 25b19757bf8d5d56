/** Global magnitude pruning, once. */
import type { Policy } from '../policy.ts'
import { constant } from '../schedule.ts'
import { readDensity, share, stepAt } from './entries.ts'
import { defineMethod } from './method.ts'

export interface GlobalMagnitudeOptions {
  readonly density: number
  /** The step after which pruning happens, once; the steps before train the dense network, those after fine-tune. */
  readonly at: number
  /** MT: the fraction of all weights that is left at least to every layer that has as many. */
  readonly minimum?: number
}

/**
 * GlobalMP with a minimum per layer (MT): one |w| threshold over all layers says which fraction each loses; layers that would
 * fall below the minimum keep it, the others give the difference in proportion, and every layer is pruned by its own |w|.
 * The authors' loop of rescaling and clamping ends near the density; this is its fixed point, exact to the weight.
 */
export const globalMagnitude = ({ density, at, minimum = 0.0005 }: GlobalMagnitudeOptions): Policy => ({
  name: 'global-magnitude',
  density,
  distribution: { kind: 'dense' },
  start: 'exact',
  phases: [
    {
      from: at,
      until: at + 1,
      every: 1,
      offset: 0,
      moves: [
        { kind: 'prune', to: { density: constant(density) }, scope: 'global', by: { kind: 'magnitude' }, minimum },
      ],
    },
  ],
  masked: 'zeroed',
})

export const method = defineMethod({
  name: 'global-magnitude',
  about: 'Trains dense, prunes once by one threshold over all layers with a minimum for each, and trains on.',
  source: {
    paper: 'Is Complexity Required for Neural Network Pruning? A Case Study on Global Magnitude Pruning',
    arxiv: '2209.14624',
    code: 'manasgupta-1/GlobalMP',
  },
  sentences: {
    at: 'When the weights are pruned, once.',
    minimum: 'Fraction of all weights that is left at least to every layer that has as many.',
  },
  read: (entries) => ({
    ...readDensity(entries),
    at: entries.number('at', share, 0.5),
    minimum: entries.number('minimum', share, 0.0005),
  }),
  policy: (entry, length) => globalMagnitude({ ...entry, at: Math.max(1, stepAt(entry.at, length)) }),
})
