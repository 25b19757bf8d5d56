/** The policy that a method is over a given number of steps. */
import {
  chase,
  type Distribution,
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
} from '../sparse/index.ts'
import type { Interval, Method, Sparse } from './method.ts'

/** The length of a training run. */
export interface Length {
  readonly steps: number
  readonly stepsPerEpoch: number
}

/**
 * The policy of a method for a run of that length; dense training is a policy that keeps every weight. The densities of
 * `snip`, for which it takes a batch, are for the caller to fill in: the policy has an empty list of given ones.
 */
export const policyOf = (method: Method, { steps, stepsPerEpoch }: Length): Policy => {
  const count = (interval: Interval): number => Math.max(1, Math.round(stepsOf(interval)))
  const stepsOf = (interval: Interval): number => {
    if (typeof interval === 'number') return interval
    return 'part' in interval ? interval.part * steps : interval.epochs * stepsPerEpoch
  }
  const time = (part: number): number => Math.round(part * steps)
  switch (method.name) {
    case 'dense':
      return { ...staticRandom({ density: 1, distribution: { kind: 'dense' } }), name: 'dense' }
    case 'static':
      return staticRandom({ density: method.density, distribution: distributionOf(method) })
    case 'set':
      return set({
        ...method,
        until: time(method.until),
        every: count(method.every),
        distribution: distributionOf(method),
      })
    case 'rigl':
      return rigl({
        ...method,
        until: time(method.until),
        every: count(method.every),
        distribution: distributionOf(method),
      })
    case 'rigl-itop':
      return riglItop({ ...method, steps, every: count(method.every), distribution: distributionOf(method) })
    case 'mest': {
      const [until, every] = [time(method.until), count(method.every)]
      const last = Math.max(0, Math.ceil(until / every) - 1) * every
      const high = Math.min(1, method.density + method.margin)
      const growTo = [
        { step: 0, value: high },
        { step: Math.floor(last / 2), value: (high + method.density) / 2 },
        { step: last, value: method.density },
      ]
      return mest({ density: method.density, until, every, growTo, distribution: distributionOf(method) })
    }
    case 'granet': {
      const end = time(method.until)
      return granet({
        ...method,
        begin: 0,
        end,
        steps,
        every: count(method.every),
        distribution: distributionOf(method),
      })
    }
    case 'gmp': {
      const [begin, end] = [time(method.begin), Math.max(1, time(method.until))]
      return gradualMagnitude({ ...method, begin, end, every: count(method.every) })
    }
    case 'global-magnitude':
      return globalMagnitude({ ...method, at: Math.max(1, time(method.at)) })
    case 'n-of-m': {
      const [begin, end] = [time(method.begin), time(method.until)]
      const { n, m, axis } = method
      const common = { n, m, axis, begin, end, steps, every: count(method.every) }
      const perStep = 1 / Math.max(1, end - begin)
      switch (method.decay) {
        case 'mask':
          return maskDecay({ ...common, decay: 'linear', rate: perStep })
        case 'mask-exponential':
          return maskDecay({ ...common, decay: 'exponential', rate: method.rate * perStep })
        default:
          return patternDecay({ ...common, frames: method.decay })
      }
    }
    case 'chase':
      return chase({
        ...method,
        steps,
        softUntil: time(method.softUntil),
        channelsUntil: time(method.channelsUntil),
        every: count(method.every),
        channelsEvery: count(method.channelsEvery),
        distribution: distributionOf(method),
      })
  }
}

const distributionOf = (method: Sparse): Distribution => {
  switch (method.distribution) {
    case 'uniform+':
    case 'erk+':
      return { kind: method.distribution, last: method.last }
    case 'snip':
      return { kind: 'given', densities: [] }
    default:
      return { kind: method.distribution }
  }
}
