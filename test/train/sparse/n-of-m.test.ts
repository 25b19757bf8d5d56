import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { init, maskDecay, type Network, patternDecay, update } from '../../../src/train/sparse/index.ts'
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
