import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'

export interface StaticRandomOptions {
  readonly density: number
  readonly distribution?: Distribution
}

/** Static random pruning: random masks that never change. Only the layer densities matter. */
export const staticRandom = ({ density, distribution = { kind: 'erk' } }: StaticRandomOptions): Policy => ({
  name: 'static',
  density,
  distribution,
  start: 'exact',
  phases: [],
  masked: 'zeroed',
})
