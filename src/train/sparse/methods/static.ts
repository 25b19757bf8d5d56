/** Static random pruning. */
import type { Distribution } from '../distribution.ts'
import type { Policy } from '../policy.ts'
import { distributionOf, readSparse } from './entries.ts'
import { defineMethod } from './method.ts'

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

export const method = defineMethod({
  name: 'static',
  about: 'Random masks that never change.',
  source: {
    paper: 'The Unreasonable Effectiveness of Random Pruning',
    arxiv: '2202.02643',
    code: 'VITA-Group/Random_Pruning',
  },
  sentences: {},
  read: (entries) => readSparse(entries),
  policy: (entry) => staticRandom({ density: entry.density, distribution: distributionOf(entry) }),
})
