import { describe, expect, test } from 'vitest'
import { drawsFrom, seededRandom } from '../../src/ir/random.ts'

const many = 200_000

const moments = (
  draw: () => number,
): { readonly mean: number; readonly deviation: number; readonly fourth: number } => {
  const values = Float64Array.from({ length: many }, draw)
  const mean = values.reduce((sum, x) => sum + x, 0) / many
  const central = (power: number): number => values.reduce((sum, x) => sum + (x - mean) ** power, 0) / many
  return { mean, deviation: Math.sqrt(central(2)), fourth: central(4) / central(2) ** 2 }
}

describe('random numbers', () => {
  test('are the ones they have always been', () => {
    const draws = drawsFrom(seededRandom(1))
    expect([draws.next(), draws.next(), draws.below(10), draws.below(10)]).toMatchInlineSnapshot(`
      [
        0.09156953264027834,
        0.5061978038866073,
        1,
        2,
      ]
    `)
    expect([draws.normal(), draws.normal()]).toMatchInlineSnapshot(`
      [
        -2.8267489424908283,
        1.1982229952935985,
      ]
    `)
    expect([...drawsFrom(seededRandom(1, 'conv1.weight')).state()]).toMatchInlineSnapshot(`
      [
        2165659274,
        1918390010,
        3563062011,
        2289249955,
      ]
    `)
  })

  test('continue from a state where it was taken', () => {
    const draws = drawsFrom(seededRandom(7))
    for (let i = 0; i < 101; i++) draws.normal()
    const state = draws.state()
    const rest = Array.from({ length: 50 }, () => [draws.normal(), draws.below(1000), draws.next()])
    const again = drawsFrom(Uint32Array.from([...state]))
    expect(Array.from({ length: 50 }, () => [again.normal(), again.below(1000), again.next()])).toEqual(rest)
  })

  test('leave the state they were drawn from as it was', () => {
    const state = seededRandom(7)
    const before = [...state]
    drawsFrom(state).normal()
    expect([...state]).toEqual(before)
  })

  test('of two seeds or two streams differ', () => {
    const states = [
      ...Array.from({ length: 100 }, (_, seed) => seededRandom(seed)),
      ...Array.from({ length: 100 }, (_, seed) => seededRandom(seed, 'a')),
      ...Array.from({ length: 100 }, (_, seed) => seededRandom(seed, 'b')),
    ]
    expect(new Set(states.map((state) => state.join())).size).toBe(300)
  })

  // Bounds are five standard errors of each statistic.
  test('are uniform', () => {
    const { mean, deviation } = moments(drawsFrom(seededRandom(3)).next)
    expect(Math.abs(mean - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / many))
    expect(Math.abs(deviation - Math.sqrt(1 / 12))).toBeLessThan(0.001)
  })

  test('are normal', () => {
    const draws = drawsFrom(seededRandom(3))
    const { mean, deviation, fourth } = moments(draws.normal)
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(many))
    expect(Math.abs(deviation - 1)).toBeLessThan(5 / Math.sqrt(2 * many))
    expect(Math.abs(fourth - 3)).toBeLessThan(5 * Math.sqrt(96 / many))
    const values = Float64Array.from({ length: many }, draws.normal)
    for (const [bound, share] of [
      [0.5, 0.382925],
      [1, 0.682689],
      [2, 0.9545],
      [3, 0.9973],
    ] as const) {
      const inside = values.filter((x) => Math.abs(x) < bound).length / many
      expect(Math.abs(inside - share)).toBeLessThan(5 * Math.sqrt((share * (1 - share)) / many))
    }
  })

  test('below a limit are all there, equally often', () => {
    const draws = drawsFrom(seededRandom(5))
    const counts = new Uint32Array(7)
    for (let i = 0; i < many; i++) {
      const drawn = draws.below(7)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - many / 7)).toBeLessThan(5 * Math.sqrt(many / 7))
    expect(draws.below(1)).toBe(0)
  })
})
