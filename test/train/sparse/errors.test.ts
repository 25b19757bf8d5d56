import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../../src/ir/failure.ts'
import {
  chase,
  constant,
  fromArrays,
  globalMagnitude,
  init,
  type Move,
  type Network,
  patternDecay,
  type Policy,
  rigl,
  staticRandom,
  toArrays,
  update,
} from '../../../src/train/sparse/index.ts'
import { chain, linear, right } from './networks.ts'

const network = chain([4, 6, 3])
const good = rigl({ density: 0.5, until: 10, every: 1 })

const demp = ({ images = 1 }): Policy => ({
  ...staticRandom({ density: 1 }),
  name: 'demp',
  vectors: true,
  phases: [{ from: 0, until: 9, every: 1, offset: 0, moves: [{ kind: 'remove dead', scope: 'all', images }] }],
})

const message = (result: E.Either<Parameters<typeof renderError>[0], unknown>): string =>
  E.isLeft(result) ? renderError(result.left) : 'no error'

describe('mistakes', () => {
  it('in a network are named', () => {
    const check = (change: Partial<Network>): string => message(init({ ...network, ...change }, good, 1))
    expect(check({ layers: [], streams: [] })).toMatch('layers: expected at least one, found none')
    expect(check({ layers: [linear('a', 2, 2), linear('a', 2, 2)], streams: [] })).toMatch(
      'layer a: expected a name of its own',
    )
    expect(check({ layers: [{ ...linear('a', 2, 2), shape: [2] }] })).toMatch(
      'layer a: expected a shape of at least two',
    )
    expect(check({ layers: [{ ...linear('a', 2, 2), inputAxis: 0 }] })).toMatch(
      'layer a: expected an output and an input axis',
    )
    const stream = {
      name: 's',
      channels: 6,
      scope: 'block' as const,
      producers: [{ layer: 'fc0', axis: 0 }],
      consumers: [],
    }
    expect(check({ streams: [{ ...stream, producers: [] }] })).toMatch('stream s: expected at least one channel')
    expect(check({ streams: [{ ...stream, consumers: [{ layer: 'x', axis: 0 }] }] })).toMatch('found axis 0 of x')
    expect(check({ streams: [{ ...stream, channels: 7 }] })).toMatch(
      'within the 6 indices of axis 0 of fc0, found indices 0 to 6',
    )
    expect(check({ streams: [stream, { ...stream, name: 't' }] })).toMatch(
      'stream t: expected indices of axis 0 of fc0 that no other',
    )
  })

  it('in a policy are named', () => {
    const check = (policy: Parameters<typeof init>[1]): string => message(init(network, policy, 1))
    expect(check(staticRandom({ density: 0 }))).toMatch('policy static, density: expected a number above 0')
    expect(check(staticRandom({ density: NaN }))).toMatch('found NaN')
    expect(check(rigl({ density: 0.1, until: 10, every: 0 }))).toMatch('policy rigl, phase 1: expected whole steps')
    expect(check(rigl({ density: 0.1, until: 10, fraction: 1.5 }))).toMatch(
      'phase 1, prune: expected values from 0 to 1, found 0 to 1.5',
    )
    expect(check(staticRandom({ density: 0.5, distribution: { kind: 'given', densities: [0.5] } }))).toMatch(
      'expected 2 densities',
    )
    expect(check(staticRandom({ density: 0.5, distribution: { kind: 'erk+', last: 2 } }))).toMatch(
      'density of the classifier',
    )
    expect(check(chase({ density: 0.1, channels: 1, steps: 9, softUntil: 5, channelsUntil: 5 }))).toMatch(
      'a final fraction below 1',
    )
    expect(check(globalMagnitude({ density: 0.1, at: 3, minimum: NaN }))).toMatch('a minimum from 0 to 1, found NaN')
    expect(check(patternDecay({ n: 5, m: 4, begin: 1, end: 2, steps: 9 }))).toMatch('patterns n:m')
    const byFlow: Move = {
      ...{ kind: 'prune', to: { density: constant(0.5) }, scope: 'global' },
      by: { kind: 'gradient flow' },
    }
    const first = { moves: [byFlow], batches: 2, temperature: 200 }
    expect(check({ ...good, first })).toBe('no error')
    expect(check({ ...good, first: { ...first, batches: 0 } })).toMatch('first: expected at least one batch')
    expect(check({ ...good, first: { ...first, temperature: NaN } })).toMatch('found 2, NaN')
    expect(check({ ...good, first: { ...first, moves: [{ ...byFlow, minimum: 2 }] } })).toMatch(
      'first, prune: expected a minimum from 0 to 1',
    )
    const scored: Policy = { ...good, masked: constant(0), scores: { kept: 1, masked: 0.99 } }
    expect(check(scored)).toBe('no error')
    expect(check({ ...scored, masked: 'zeroed' })).toMatch('scores: expected two finite numbers')
    expect(check({ ...scored, scores: { kept: 1, masked: NaN } })).toMatch('found 1, NaN, masked weights kept')
    expect(check({ ...good, first: { moves: [{ kind: 'keep best' }] } })).toMatch(
      'found none, and a move that goes by them',
    )
    const gates = { density: 0.5, until: 1, temperature: constant(1), rate: 0, decay: 0 }
    const gated: Policy = { ...good, layers: 'matrices', gates }
    expect(check(gated)).toBe('no error')
    for (const wrong of [{ density: 0 }, { until: 0.5 }, { temperature: constant(0) }, { rate: NaN }, { decay: -1 }]) {
      expect(check({ ...gated, gates: { ...gates, ...wrong } })).toMatch('policy rigl, scores: expected a density')
    }
    expect(check({ ...good, gates })).toMatch('layers that are matrices')
    expect(check({ ...gated, first: { moves: [{ kind: 'keep diagonals', density: 2 }] } })).toMatch(
      'first, keep diagonals: expected values from 0 to 1',
    )
    const [phase] = good.phases
    if (phase === undefined) throw new Error('no phase')
    expect(check({ ...good, phases: [{ ...phase, moves: [byFlow] }] })).toMatch(
      'phase 1: expected moves by weights and gradients, found a prune by gradient flow',
    )
    expect(check({ ...good, noise: constant(-1) })).toMatch('policy rigl, noise: expected a deviation of at least 0')
    expect(check({ ...good, noise: constant(NaN) })).toMatch('found NaN to NaN')
    expect(check(demp({ images: 0 }))).toMatch('policy demp, phase 1, remove dead: expected a fraction of the images')
    const pull = { from: 0, until: 9, channels: 'all', scope: 'all' } as const
    const pulls = [{ ...pull, strength: constant(Infinity) }]
    expect(check({ ...demp({}), pulls })).toMatch('policy demp, pull: expected a strength of at least 0')
  })

  it('in what a policy asks of a network are named', () => {
    const { layers } = network
    const streams = network.streams.map(({ vectors: _, ...stream }) => stream)
    const pulls = [{ from: 0, until: 9, strength: constant(0.1), channels: 'all', scope: 'all' }] as const
    expect(message(init({ layers, streams }, { ...demp({}), pulls }, 1))).toMatch('channels with trained scales')
    expect(E.isRight(init({ layers, streams }, demp({}), 1))).toBe(true)
  })

  it('in a sample are named, and only when it is looked at', () => {
    const state = right(init(network, good, 1))
    const weights = [new Float32Array(24), new Float32Array(18)]
    expect(message(update(state, { weights }, 1))).toMatch(
      'gradients: expected one array for each of 2 layers, found 0',
    )
    expect(
      message(
        update(
          state,
          { weights: [weights[1] ?? new Float32Array(0), weights[0] ?? new Float32Array(0)], gradients: weights },
          1,
        ),
      ),
    ).toMatch('weights of fc0: expected 24 numbers, shape [6,4], found 18')
    const moves: ReadonlyArray<Move> = [
      { kind: 'prune', to: { density: constant(0.5) }, scope: 'global', by: { kind: 'gradient flow' } },
    ]
    const before = right(init(network, { ...good, first: { moves, batches: 1, temperature: 1 } }, 1))
    expect(message(update(before, { weights, gradients: weights }, 0))).toMatch(
      'curvature: expected one array for each of 2 layers, found 0',
    )
    expect(message(update(before, { weights, curvature: weights }, 0))).toMatch('gradients: expected one array')
    const policy: Policy = { ...good, masked: constant(0), scores: { kept: 1, masked: 0 } }
    const best = right(init(network, { ...policy, first: { moves: [{ kind: 'keep best' }] } }, 1))
    expect(message(update(best, { weights }, 0))).toMatch('scores: expected one array for each of 2 layers, found 0')
    const looking = right(init(network, demp({}), 1))
    const sizes = looking.network.layers.map(({ shape }) => new Float32Array(shape.reduce((n, d) => n * d, 1)))
    for (const active of [undefined, [], [new Uint8Array(5)]]) {
      const sample = { weights: sizes, ...(active !== undefined && { active }) }
      expect(message(update(looking, sample, 1))).toMatch('activity of fc0: expected 6 bytes')
    }
    expect(E.isRight(update(looking, { weights: sizes, active: [new Uint8Array(6)] }, 1))).toBe(true)
    const idle = right(update(state, { weights: [] }, 10))
    expect(idle.state).toBe(state)
    expect(idle.event).toBeUndefined()
  })

  it('in a checkpoint are named', () => {
    const arrays = toArrays(right(init(network, good, 1)))
    const without = (name: string, array?: Uint8Array | Uint32Array): string => {
      const changed = new Map(arrays)
      if (array === undefined) changed.delete(name)
      else changed.set(name, array)
      return message(fromArrays(network, good, changed))
    }
    expect(without('nothing at all')).toBe('no error')
    expect(without('mask/fc0')).toMatch('mask/fc0: expected 24 bytes, each 0 or 1, found none')
    expect(without('mask/fc1', new Uint8Array(18).fill(2))).toMatch('mask/fc1: expected 18 bytes, each 0 or 1')
    expect(without('removed/fc0', new Uint8Array(5))).toMatch('removed/fc0: expected 6 bytes')
    expect(without('channels/fc0', Uint32Array.of(0, 2, 1))).toMatch(
      'channels/fc0: expected channel numbers below 6, ascending',
    )
    expect(without('channels/fc0', Uint32Array.of(6))).toMatch('channels/fc0')
    expect(without('random', new Uint32Array(3))).toMatch('random: expected four 32-bit words')
    expect(without('updates')).toMatch('updates: expected one number')
  })
})
