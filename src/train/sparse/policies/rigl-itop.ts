import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'

export interface RigLItopOptions {
  readonly density: number
  /** Training steps; the topology changes until the end. */
  readonly steps: number
  readonly every?: number
  /** The fraction of each layer's weights that is exchanged: at first and, by a cosine, in the end. */
  readonly fraction?: number
  readonly finalFraction?: number
  readonly distribution?: Distribution
}

/**
 * RigL-ITOP: RigL with long intervals, in which grown weights have time to become worth keeping, a large exchange and no
 * early end, so that over time many weights take part.
 */
export const riglItop = ({
  density,
  steps,
  every = 1000,
  fraction = 0.5,
  finalFraction = 0.005,
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
          by: { kind: 'magnitude' },
        },
        { kind: 'regrow', scope: 'layer', by: 'gradient', regrown: 'continues' },
      ],
    },
  ],
  masked: 'zeroed',
})
