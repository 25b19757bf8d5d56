import * as fc from 'fast-check'
import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { decodeRecipe, policyOf } from '../../../src/train/recipe/index.ts'
import {
  fromArrays,
  init,
  keptByPattern,
  maskDecay,
  type Network,
  patternDecay,
  softThresholded,
  toArrays,
  update,
} from '../../../src/train/sparse/index.ts'
import { conv, right } from './networks.ts'
import { noise } from './simulate.ts'

/** Per group of m along the axis the n largest magnitudes, by sorting. */
const naive = (w: Float32Array, shape: ReadonlyArray<number>, axis: number, n: number, m: number): number[] => {
  const stride = shape.slice(axis + 1).reduce((a, b) => a * b, 1)
  const length = shape[axis] ?? 1
  const groups = new Map<string, number[]>()
  for (const i of w.keys()) {
    const at = Math.floor(i / stride) % length
    const key = `${Math.floor(i / (stride * length))} ${i % stride} ${Math.floor(at / m)}`
    groups.set(key, [...(groups.get(key) ?? []), i])
  }
  const kept = [...groups.values()].flatMap((group) =>
    group.sort((i, j) => Math.abs(w[j] ?? 0) - Math.abs(w[i] ?? 0) || i - j).slice(0, n),
  )
  return [...w.keys()].map((i) => (kept.includes(i) ? 1 : 0))
}

describe('N:M', () => {
  it('keeps the n largest of every m, whatever the axis, and follows the weights', () => {
    const shape = fc.record({
      o: fc.integer({ min: 1, max: 9 }),
      i: fc.integer({ min: 1, max: 9 }),
      k: fc.constantFrom(1, 3),
    })
    const pattern = fc
      .integer({ min: 1, max: 6 })
      .chain((m) => fc.tuple(fc.integer({ min: 1, max: m }), fc.constant(m)))
    fc.assert(
      fc.property(
        shape,
        pattern,
        fc.constantFrom('input', 'output'),
        fc.nat({ max: 1e6 }),
        fc.constantFrom(undefined, 2),
        ({ o, i, k }, [n, m], axis, seed, levels) => {
          const network: Network = { layers: [conv('a', o, i, k)], streams: [] }
          const policy = maskDecay({ n, m, axis, begin: 1, end: 5, steps: 10, decay: 'linear', rate: 0.1 })
          const draw = noise(seed, levels)
          let state = right(init(network, policy, 1))
          for (const step of [1, 2, 3]) {
            const weights = [draw(o * i * k * k)]
            const { state: after, event } = right(update(state, { weights }, step))
            const mask = naive(weights[0] ?? new Float32Array(0), [o, i, k, k], axis === 'input' ? 1 : 0, n, m)
            expect([...(after.masks[0] ?? [])]).toEqual(mask)
            expect(event?.live).toBe(mask.reduce((a, b) => a + b, 0))
            state = after
          }
        },
      ),
    )
  })

  it('goes through its patterns, dense before the first', () => {
    const network: Network = { layers: [conv('a', 4, 8, 1)], streams: [] }
    const policy = patternDecay({ n: 1, m: 8, begin: 4, end: 10, steps: 12 })
    let state = right(init(network, policy, 1))
    const kept: number[] = []
    for (let step = 1; step <= 12; step++) {
      state = right(update(state, { weights: [noise(step)(32)] }, step)).state
      kept.push((state.masks[0] ?? new Uint8Array(0)).reduce((a, b) => a + b, 0) / 4)
    }
    expect(kept).toEqual([8, 8, 8, 7, 7, 4, 4, 2, 2, 1, 1, 1])
  })
})

describe('a soft threshold', () => {
  const pattern = fc.integer({ min: 1, max: 6 }).chain((m) => fc.tuple(fc.integer({ min: 1, max: m }), fc.constant(m)))
  const one = fc.record({
    shape: fc.tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }), fc.constantFrom(1, 3)),
    pattern,
    axis: fc.constantFrom('input' as const, 'output' as const),
    seed: fc.nat({ max: 1e6 }),
    levels: fc.constantFrom(undefined, 2),
  })

  const policyFor = ([n, m]: readonly [number, number], axis: 'input' | 'output') => {
    const recipe = decodeRecipe({ method: { name: 's-ste', n, m, axis } })
    if (E.isLeft(recipe)) throw new Error(recipe.left[0].found)
    return policyOf(recipe.right.method, { steps: 10, stepsPerEpoch: 5 })
  }

  /** The state after an update by these weights, and what is computed with in their place. */
  const seen = (
    network: Network,
    policy: ReturnType<typeof policyFor>,
    weights: Float32Array,
    state = right(init(network, policy, 1)),
  ) => {
    const [layer] = network.layers
    const after = right(update(state, { weights: [weights] }, state.updates + 1)).state
    const { masked } = policy
    if (layer === undefined || masked === 'zeroed' || masked.kind !== 'soft threshold') throw new Error('no threshold')
    const soft = (scale: number) => softThresholded(layer, weights, after.masks[0] ?? new Uint8Array(0), masked, scale)
    return { after, scale: after.scales[0] ?? NaN, soft }
  }

  it('leaves of the n largest of every m what is above the next, and no other', () => {
    fc.assert(
      fc.property(one, ({ shape: [o, i, k], pattern: [n, m], axis, seed, levels }) => {
        const network: Network = { layers: [conv('a', o, i, k)], streams: [] }
        const weights = noise(seed, levels)(o * i * k * k)
        const [more, fewer] = [n + 1, n].map((kept) => naive(weights, [o, i, k, k], axis === 'input' ? 1 : 0, kept, m))
        const { soft } = seen(network, policyFor([n, m], axis), weights)
        const found = soft(1)
        // What is next in its group lies at the one place that n + 1 keep and n do not.
        const stride = axis === 'input' ? k * k : i * k * k
        const length = axis === 'input' ? i : o
        const group = (at: number): string => {
          const index = Math.floor(at / stride) % length
          return `${Math.floor(at / (stride * length))} ${at % stride} ${Math.floor(index / m)}`
        }
        const next = new Map<string, number>()
        for (const at of weights.keys()) {
          if (more?.[at] === 1 && fewer?.[at] === 0) next.set(group(at), Math.abs(weights[at] ?? 0))
        }
        for (const [at, w] of weights.entries()) {
          const left = Math.max(0, Math.abs(w) - (next.get(group(at)) ?? 0))
          expect(found[at]).toBeCloseTo(fewer?.[at] === 1 ? Math.sign(w) * left : 0, 6)
        }
      }),
    )
  })

  it('has its number found once, the one that leaves the least error', () => {
    fc.assert(
      fc.property(one, fc.double({ min: -1, max: 1, noNaN: true }), (given, off) => {
        const { pattern, axis, seed, levels } = given
        const [o, i, k] = given.shape
        const network: Network = { layers: [conv('a', o, i, k)], streams: [] }
        const policy = policyFor(pattern, axis)
        const draw = noise(seed, levels)
        const weights = draw(o * i * k * k)
        const { after, scale, soft } = seen(network, policy, weights)
        const error = (values: Float32Array) => values.reduce((sum, x, at) => sum + ((weights[at] ?? 0) - x) ** 2, 0)
        expect(error(soft(scale))).toBeLessThanOrEqual(error(soft(scale + off)) + 1e-6)
        if (soft(1).every((x) => x === 0)) expect(scale).toBe(1)
        const later = seen(network, policy, draw(weights.length), after)
        expect(later.scale).toBe(scale)
        expect(right(fromArrays(network, policy, toArrays(later.after)))).toEqual(later.after)
      }),
    )
  })

  it('has no jumps: what is computed with moves at most twice as far as the weights, whatever masks do', () => {
    fc.assert(
      fc.property(one, fc.constantFrom(1, 0.1, 1e-3), ({ shape: [o, i, k], pattern, axis, seed, levels }, far) => {
        const network: Network = { layers: [conv('a', o, i, k)], streams: [] }
        const policy = policyFor(pattern, axis)
        const draw = noise(seed, levels)
        const weights = draw(o * i * k * k)
        const drift = noise(seed + 1)(weights.length)
        const moved = weights.map((w, at) => w + far * (drift[at] ?? 0))
        const [before, after] = [weights, moved].map((values) => seen(network, policy, values).soft(1))
        const jump = Math.max(...(before ?? []).map((x, at) => Math.abs(x - (after?.[at] ?? NaN))))
        expect(jump).toBeLessThanOrEqual(2 * far + 1e-6)
      }),
    )
  })

  it('is refused with groups of nothing, and a checkpoint without its numbers', () => {
    const network: Network = { layers: [conv('a', 4, 8, 1)], streams: [] }
    const policy = policyFor([2, 4], 'input')
    const masked = { kind: 'soft threshold', m: 0, axis: 'input' } as const
    expect(init(network, { ...policy, masked }, 1)).toMatchObject({ left: { subject: 'policy s-ste, soft threshold' } })
    const arrays = new Map(toArrays(right(init(network, policy, 1))))
    for (const scales of [new Uint32Array(2), new Uint8Array(1), Uint32Array.of(0x7fc00000)]) {
      expect(fromArrays(network, policy, new Map([...arrays, ['scales', scales]]))).toMatchObject({
        left: { subject: 'scales', expected: '1 finite numbers' },
      })
    }
  })
})

describe('a pattern of the way back', () => {
  it('is that of the largest magnitudes along its axis', () => {
    const layer = conv('a', 9, 5, 3)
    const weights = noise(4)(9 * 5 * 9)
    for (const [axis, along] of [
      ['output', 0],
      ['input', 1],
    ] as const) {
      const mask = naive(weights, layer.shape, along, 2, 4)
      expect(keptByPattern(layer, weights, { n: 2, m: 4, axis })).toEqual(
        weights.map((w, i) => (mask[i] === 1 ? w : 0)),
      )
    }
  })

  it('is refused where masked weights are 0, and where it keeps more than there are', () => {
    const network: Network = { layers: [conv('a', 4, 8, 1)], streams: [] }
    const policy = maskDecay({ n: 2, m: 4, begin: 1, end: 5, steps: 10, decay: 'linear', rate: 0.1 })
    const backward = { n: 2, m: 4, axis: 'output' } as const
    expect(E.isRight(init(network, { ...policy, backward }, 1))).toBe(true)
    for (const wrong of [
      { ...policy, backward, masked: 'zeroed' as const },
      { ...policy, backward: { ...backward, n: 5 } },
      { ...policy, backward: { ...backward, n: 0 } },
    ]) {
      expect(init(network, wrong, 1)).toMatchObject({
        left: { subject: `policy ${policy.name}, pattern of the way back` },
      })
    }
  })
})
