import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyOf } from '../../../src/train/recipe/index.ts'
import { densitiesOf, init, type Layer, type Network, type State, update } from '../../../src/train/sparse/index.ts'
import { chain, conv, linear, right } from './networks.ts'
import { noise, run, start } from './simulate.ts'

const method = (more: { readonly density: number; readonly salient: number; readonly fraction: number }) =>
  policyOf({ name: 'srigl', distribution: 'erk', every: 2, until: 1, ...more }, { steps: 20, stepsPerEpoch: 20 })

/** How many weights each output channel keeps. */
const fanIns = ({ shape, outputAxis }: Layer, mask: Uint8Array): ReadonlyArray<number> => {
  const inner = shape.slice(outputAxis + 1).reduce((n, d) => n * d, 1)
  const out = new Array<number>(shape[outputAxis] ?? 0).fill(0)
  for (const [i, bit] of mask.entries()) {
    const row = Math.floor(i / inner) % out.length
    out[row] = (out[row] ?? 0) + bit
  }
  return out
}

const checkLayers = ({ network, masks, policy }: State): number => {
  const densities = densitiesOf(policy.distribution, network.layers, policy.density)
  let gone = 0
  for (const [l, layer] of network.layers.entries()) {
    const mask = masks[l] ?? new Uint8Array(0)
    const all = fanIns(layer, mask)
    const density = densities[l] ?? 1
    if (density === 1) {
      expect(mask.every((bit) => bit === 1)).toBe(true)
      continue
    }
    const left = all.filter((n) => n > 0)
    expect(new Set(left).size).toBe(1)
    const budget = Math.floor(mask.length * density)
    expect(left[0]).toBe(Math.max(1, Math.floor(budget / left.length)))
    if (l === network.layers.length - 1) expect(left.length).toBe(all.length)
    gone += all.length - left.length
  }
  return gone
}

describe('constant fan-in', () => {
  const networks: fc.Arbitrary<Network> = fc.oneof(
    fc.array(fc.integer({ min: 1, max: 14 }), { minLength: 2, maxLength: 5 }).map(chain),
    fc.constant({
      layers: [
        { name: 'stem', shape: [3, 3, 4, 8], outputAxis: 3, inputAxis: 2 },
        conv('a', 12, 8, 3),
        { name: 'transposed', shape: [12, 9], outputAxis: 1, inputAxis: 0 },
        linear('classifier', 3, 9),
      ],
      streams: [],
    }),
  )

  it('holds at the start and after every update, for every layer that is not dense', () => {
    let gone = 0
    fc.assert(
      fc.property(
        networks,
        fc.record({
          density: fc.double({ min: 0.01, max: 1, noNaN: true }),
          salient: fc.constantFrom(0, 0.3, 0.9, 1),
          fraction: fc.constantFrom(0, 0.3, 1),
        }),
        fc.nat({ max: 1e6 }),
        fc.constantFrom(undefined, 1, 3),
        (network, options, seed, levels) => {
          const trainer = start(network, method(options), seed, levels)
          expect(checkLayers(trainer.state)).toBe(0)
          run(
            trainer,
            1,
            19,
            seed,
            ({ after }) => {
              const ablated = checkLayers(after)
              if (options.salient === 0) expect(ablated).toBe(0)
              gone += ablated
            },
            levels,
          )
        },
      ),
      { numRuns: 40 },
    )
    expect(gone).toBeGreaterThan(100)
  })

  it('lets a neuron with nothing salient lose all of its weights, and the others have more', () => {
    const network: Network = { layers: [linear('a', 4, 8), linear('b', 2, 4)], streams: [] }
    const state = right(init(network, method({ density: 0.5, salient: 0.3, fraction: 0.3 }), 1))
    const weights = state.masks.map((mask, l) =>
      Float32Array.from(mask, (bit, i) => bit * (l === 0 && i < 8 ? 1e-3 : 1 + i)),
    )
    const gradients = state.masks.map((mask, l) => Float32Array.from(mask, (_, i) => (l === 0 && i < 8 ? 0 : 1 + i)))
    const { state: after } = right(update(state, { weights, gradients }, 2))
    const [layer] = network.layers
    if (layer === undefined) throw new Error('no layer')
    const before = fanIns(layer, state.masks[0] ?? new Uint8Array(0))
    const budget = before.reduce((n, k) => n + k, 0)
    expect(fanIns(layer, after.masks[0] ?? new Uint8Array(0))).toEqual([0, ...Array(3).fill(Math.floor(budget / 3))])
  })

  it('goes on without numbers that are any', () => {
    const network = chain([5, 6, 4])
    let state = right(init(network, method({ density: 0.4, salient: 0.3, fraction: 0.5 }), 3))
    for (const value of [NaN, Infinity, -0, 1e-45]) {
      const draw = noise(3)
      const odd = (x: number, i: number): number => (i % 3 === 0 ? value : x)
      const weights = state.masks.map((mask) => draw(mask.length).map((x, i) => (mask[i] === 1 ? odd(x, i) : 0)))
      const gradients = state.masks.map((mask) => draw(mask.length).map(odd))
      state = right(update(state, { weights, gradients }, 2)).state
      checkLayers(state)
    }
  })
})
