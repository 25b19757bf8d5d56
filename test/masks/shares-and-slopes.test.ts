/** Shares of ECoFLaP and slopes of LPViT: beside the released programs, and laws at the edges. */
import { readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ranksOf } from '../../src/masks/ranks.ts'
import { shareOut } from '../../src/masks/share-out.ts'
import { curvePoints, equalSlopes, powerSlopes, slopesOf, smoothCurve } from '../../src/masks/slopes.ts'

interface Shares {
  readonly sizes: ReadonlyArray<number>
  readonly scores: ReadonlyArray<number>
  readonly most: number
  readonly kept: number
  readonly released: ReadonlyArray<number>
  readonly corrected: ReadonlyArray<number>
}

const published: {
  readonly shares: ReadonlyArray<Shares>
  readonly powers: { readonly layers: ReadonlyArray<readonly [number, number]>; readonly slopes: ReadonlyArray<number> }
} = JSON.parse(readFileSync(new URL('oracles/ratios.json', import.meta.url), 'utf8'))

const sum = (list: Iterable<number>): number => [...list].reduce((a, b) => a + b, 0)

const sharersOf = (
  sizes: ReadonlyArray<number>,
  scores: ReadonlyArray<number>,
): ReadonlyArray<{ readonly weights: number; readonly alive: number; readonly importance: number }> =>
  sizes.map((weights, i) => ({ weights, alive: weights, importance: scores[i] ?? 0 }))

describe('shares of ECoFLaP', () => {
  test.each(published.shares.map((one) => [one.sizes.join(' '), one] as const))(
    'are those of the released program, but for what it adds again: %s',
    (_, { sizes, scores, most, kept, released, corrected }) => {
      const found = shareOut(sharersOf(sizes, scores), kept, most)
      expect(found).toEqual(corrected)
      expect(sum(found)).toBe(kept)
      // The program as it is keeps as many too many as its rounding had, twice.
      expect(sum(released)).toBeGreaterThanOrEqual(kept)
    },
  )
  test('differ from it in some', () => {
    expect(published.shares.some(({ released, corrected }) => sum(released) > sum(corrected))).toBe(true)
  })

  const layers = fc.array(
    fc.record({
      weights: fc.integer({ min: 1, max: 5000 }),
      gone: fc.double({ min: 0, max: 1, noNaN: true }),
      importance: fc.oneof(
        fc.constantFrom(0, 1, 5e-324, 1e-300, Number.MAX_VALUE),
        fc.double({ min: 0, max: 1e3, noNaN: true }),
      ),
    }),
    { maxLength: 8 },
  )
  test('add up to what stays, each between its least and what is alive', () => {
    fc.assert(
      fc.property(
        layers,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (list, density, most) => {
          const sharers = list.map(({ weights, gone, importance }) => ({
            weights,
            alive: weights - Math.floor(gone * weights),
            importance,
          }))
          const kept = Math.floor(density * sum(list.map(({ weights }) => weights)))
          const found = shareOut(sharers, kept, most)
          const least = sharers.map(({ weights, alive }) => Math.min(alive, Math.ceil(weights * (1 - most) - 1e-9)))
          const alive = sum(sharers.map((one) => one.alive))
          expect(sum(found)).toBe(Math.max(sum(least), Math.min(kept, alive)))
          found.forEach((share, i) => {
            expect(Number.isSafeInteger(share)).toBe(true)
            expect(share).toBeGreaterThanOrEqual(least[i] ?? NaN)
            expect(share).toBeLessThanOrEqual(sharers[i]?.alive ?? NaN)
          })
        },
      ),
    )
  })
  test('do not see how large all importances are', () => {
    const powers = fc.integer({ min: -900, max: 900 })
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 6 }),
        powers,
        (scores, power) => {
          const sizes = scores.map((_, i) => 10 + 7 * i)
          const kept = Math.floor(sum(sizes) / 2)
          const larger = scores.map((score) => score * 2 ** power)
          expect(shareOut(sharersOf(sizes, larger), kept, 1)).toEqual(shareOut(sharersOf(sizes, scores), kept, 1))
        },
      ),
    )
  })
  test('are even where nothing matters, and all or nothing at densities 1 and 0', () => {
    expect(shareOut(sharersOf([10, 20, 30], [0, 0, 0]), 30, 0.9)).toEqual([5, 10, 15])
    expect(shareOut(sharersOf([10, 20, 30], [3, 1, 2]), 60, 1)).toEqual([10, 20, 30])
    expect(shareOut(sharersOf([10, 20, 30], [3, 1, 2]), 0, 1)).toEqual([0, 0, 0])
    expect(shareOut(sharersOf([10], [7]), 4, 0.7)).toEqual([4])
    expect(shareOut([], 0, 0.5)).toEqual([])
  })
})

describe('slopes of LPViT', () => {
  const line = (f: (x: number) => number): Float64Array =>
    Float64Array.from({ length: curvePoints }, (_, i) => f(i / (curvePoints - 1)))
  test('of power are those of the released program', () => {
    const curves = [line((x) => x * x), line((x) => 3 * x ** 4), line(Math.expm1)]
    const found = powerSlopes(
      published.powers.layers.map(([blocks, channels], i) => ({ curve: curves[i] ?? line(() => 0), blocks, channels })),
    )
    found.forEach((slope, i) => expect(slope).toBeCloseTo(published.powers.slopes[i] ?? NaN, 6))
    expect(found[2]).toBe(-0)
    expect(powerSlopes([{ curve: line((x) => x), blocks: 9, channels: 15 }])).toEqual([0])
  })
  test('are exact for cubics inside, and a smoothed line lags', () => {
    const slopes = slopesOf(line((x) => x ** 3))
    for (const at of [4, 20, 50, 96]) expect(slopes[at]).toBeCloseTo(3 * (at / 100) ** 2, 9)
    const smoothed = smoothCurve(Float64Array.of(1, 1, 1, 5))
    expect([...smoothed.subarray(0, 3)]).toEqual([1, 1, 1])
    expect(smoothed[3]).toBeCloseTo(5 - 4 * (7 / 15), 12)
  })

  /** Curves that rise, of layers of so many weights. */
  const layers = fc.array(
    fc.record({
      weights: fc.integer({ min: 1, max: 3000 }),
      steps: fc.array(fc.oneof(fc.constantFrom(0, 1e-300, 1e300), fc.double({ min: 0, max: 1, noNaN: true })), {
        minLength: curvePoints,
        maxLength: curvePoints,
      }),
    }),
    { minLength: 1, maxLength: 5 },
  )
  test('are met by amounts that take what was wanted, to a weight of each layer', () => {
    fc.assert(
      fc.property(layers, fc.double({ min: 0, max: 0.99, noNaN: true }), (list, sparsity) => {
        const slopes = list.map(({ steps }) => Float64Array.from(steps.slice(1)))
        const goneAt = (amounts: ReadonlyArray<number>): number =>
          sum(amounts.map((amount, i) => Math.floor(amount * (list[i]?.weights ?? 0) + 1e-9)))
        const most = 1 - Math.min(0.05, (1 - sparsity) / 2)
        const wanted = Math.floor(sparsity * sum(list.map(({ weights }) => weights)))
        const amounts = equalSlopes(slopes, wanted, most, goneAt)
        expect(amounts).toHaveLength(list.length)
        for (const amount of amounts) {
          expect(amount).toBeGreaterThanOrEqual(0)
          expect(amount).toBeLessThanOrEqual(most)
        }
        const gone = goneAt(amounts)
        expect(gone).toBeLessThanOrEqual(wanted)
        // A step of the last search moves every layer by less than a weight; layers that are at their most cannot make up for it.
        const reach = Math.min(wanted, goneAt(list.map(() => most)))
        expect(gone).toBeGreaterThanOrEqual(reach - list.length)
      }),
    )
  })
  test('take more of the layer whose curve rises less', () => {
    const [flat, steep] = [slopesOf(line((x) => x * x)), slopesOf(line((x) => 10 * x * x))]
    const [a = 0, b = 0] = equalSlopes([flat, steep], 100, 0.975, ([x = 0, y = 0]) => 100 * x + 100 * y)
    expect(a).toBeGreaterThan(0.9)
    expect(b).toBeLessThan(0.15)
    expect(100 * (a + b)).toBeCloseTo(100, 4)
  })
  test('with less slope for its power take more of a layer', () => {
    const square = slopesOf(line((x) => x * x))
    const [a = 0, b = 0] = equalSlopes(
      [square, square.map((x) => x - 0.5)],
      100,
      0.975,
      ([x = 0, y = 0]) => 100 * (x + y),
    )
    expect(b - a).toBeCloseTo(0.25, 1)
    expect(a + b).toBeCloseTo(1, 5)
  })
})

test('ranks are places in a stable order', () => {
  const few = fc.constantFrom(-1, 0, 5e-324, 0.5, 1, Infinity)
  fc.assert(
    fc.property(fc.array(few, { maxLength: 40 }), (values) => {
      const order = values.map((_, i) => i).sort((a, b) => Math.sign((values[a] ?? 0) - (values[b] ?? 0)) || a - b)
      const expected = new Array<number>(values.length)
      order.forEach((at, rank) => {
        expected[at] = rank
      })
      expect([...ranksOf(Float64Array.from(values))]).toEqual(expected)
    }),
  )
})
