/** Every method by its defaults, and policies by other options, in intervals short enough to run through in a test. */
import * as E from 'fp-ts/lib/Either.js'
import { renderError } from '../../../src/ir/failure.ts'
import { describeMethods } from '../../../src/train/recipe/describe-methods.ts'
import { decodeRecipe, policyOf } from '../../../src/train/recipe/index.ts'
import {
  chase,
  type ChaseOptions,
  globalMagnitude,
  gradualMagnitude,
  granet,
  maskDecay,
  mest,
  patternDecay,
  type Policy,
  rigl,
  riglItop,
  set,
  staticRandom,
} from '../../../src/train/sparse/index.ts'

const chaseOptions: ChaseOptions = {
  density: 0.3,
  channels: 0.5,
  steps: 40,
  softUntil: 28,
  channelsUntil: 28,
  every: 4,
  channelsEvery: 4,
  margin: 0.1,
}

export const steps = 40

/** A policy that grows anywhere instead of by gradient. */
const atRandom = (policy: Policy): Policy => ({
  ...policy,
  phases: policy.phases.map((phase) => ({
    ...phase,
    moves: phase.moves.map((move) => (move.kind === 'grow' ? { ...move, by: 'random' } : move)),
  })),
})

export const chases: ReadonlyArray<Policy> = [
  chase(chaseOptions),
  chase({ ...chaseOptions, exploration: 'layer', finalMargin: 0.02, floor: 0.2 }),
  chase({ ...chaseOptions, scope: 'all', channels: 0.4, score: 'mmm' }),
  chase({ ...chaseOptions, scope: 'all', exploration: 'layer', start: 'bernoulli', score: 'kernels' }),
  chase({ ...chaseOptions, channels: 0 }),
  atRandom(chase({ ...chaseOptions, scope: 'all' })),
]

/** Methods by their defaults, with intervals of 4 steps. */
const byDefault: ReadonlyArray<Policy> = describeMethods().map(({ name, entries }) => {
  const intervals = entries.filter(({ key }) => /^every$|Every$/.test(key)).map(({ key }) => [key, 4])
  const decoded = decodeRecipe({ method: { name, ...Object.fromEntries(intervals) } })
  if (E.isLeft(decoded)) throw new Error(renderError(decoded.left[0]))
  return policyOf(decoded.right.method, { steps, stepsPerEpoch: 8 })
})

export const policies: ReadonlyArray<Policy> = [
  ...chases,
  rigl({ density: 0.2, until: 30, every: 4 }),
  riglItop({ density: 0.2, steps, every: 8 }),
  set({ density: 0.2, until: steps, every: 4 }),
  set({ density: 0.2, until: steps, every: 4, by: { kind: 'random' } }),
  rigl({ density: 0.2, until: 30, every: 4, by: { kind: 'sensitivity' } }),
  riglItop({ density: 0.2, steps, every: 8, by: { kind: 'reciprocal sensitivity' } }),
  mest({
    density: 0.2,
    until: 36,
    every: 4,
    growTo: [
      { step: 0, value: 0.25 },
      { step: 20, value: 0.22 },
      { step: 30, value: 0.2 },
    ],
  }),
  mest({ density: 0.2, until: 36, every: 4, growTo: [{ step: 0, value: 0.25 }], scope: 'global', gradient: 0 }),
  granet({ density: 0.1, begin: 4, end: 24, steps, every: 4 }),
  gradualMagnitude({ density: 0.1, begin: 4, end: 30, every: 4 }),
  gradualMagnitude({ density: 0.1, begin: 4, end: 30, every: 4, scope: 'global' }),
  globalMagnitude({ density: 0.1, at: 10, minimum: 0.005 }),
  staticRandom({ density: 0.15 }),
  maskDecay({ n: 2, m: 4, begin: 4, end: 20, steps, every: 4, decay: 'linear', rate: 0.1 }),
  patternDecay({ n: 1, m: 4, begin: 4, end: 20, steps, every: 4 }),
  ...byDefault,
]
