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

/** The policy of a method for a run of that length; dense training is a policy that keeps every weight. */
export const policyOf = (method: Method, { steps, stepsPerEpoch }: Length): Policy => {
  const count = (interval: Interval): number =>
    Math.max(1, Math.round(typeof interval === 'number' ? interval : interval.epochs * stepsPerEpoch))
  const time = (part: number): number => Math.round(part * steps)
  const kind = (entry: Sparse): Distribution => ({ kind: entry.distribution })
  switch (method.name) {
    case 'dense':
      return { ...staticRandom({ density: 1, distribution: { kind: 'dense' } }), name: 'dense' }
    case 'static':
      return staticRandom({ density: method.density, distribution: kind(method) })
    case 'set':
      return set({ ...method, steps, every: count(method.every), distribution: kind(method) })
    case 'rigl':
      return rigl({ ...method, until: time(method.until), every: count(method.every), distribution: kind(method) })
    case 'rigl-itop':
      return riglItop({ ...method, steps, every: count(method.every), distribution: kind(method) })
    case 'mest': {
      const [until, every] = [time(method.until), count(method.every)]
      const last = Math.max(0, Math.ceil(until / every) - 1) * every
      const high = Math.min(1, method.density + method.margin)
      const growTo = [
        { step: 0, value: high },
        { step: Math.floor(last / 2), value: (high + method.density) / 2 },
        { step: last, value: method.density },
      ]
      return mest({ density: method.density, until, every, growTo, distribution: kind(method) })
    }
    case 'granet': {
      const end = time(method.until)
      return granet({ ...method, begin: 0, end, steps, every: count(method.every), distribution: kind(method) })
    }
    case 'gmp': {
      const [begin, end] = [time(method.begin), time(method.until)]
      return gradualMagnitude({ ...method, begin, end, every: count(method.every) })
    }
    case 'global-magnitude':
      return globalMagnitude({ ...method, at: Math.max(1, time(method.at)) })
    case 'n-of-m': {
      const [begin, end] = [time(method.begin), time(method.until)]
      const { n, m, axis, decay } = method
      const common = { n, m, axis, begin, end, steps, every: count(method.every) }
      if (decay !== 'mask') return patternDecay({ ...common, frames: decay })
      return maskDecay({ ...common, decay: 'linear', rate: 1 / Math.max(1, end - begin) })
    }
    case 'chase':
      return chase({
        ...method,
        steps,
        softUntil: time(method.softUntil),
        channelsUntil: time(method.channelsUntil),
        every: count(method.every),
        channelsEvery: count(method.channelsEvery),
        distribution: kind(method),
      })
  }
}
