import type { Policy } from '../policy.ts'
import { offsetTo } from './ending.ts'

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
