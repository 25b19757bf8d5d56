import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { apportion } from '../../../src/train/sparse/apportion.ts'
import { drawsFrom, seededRandom } from '../../../src/ir/random.ts'
import { selectAtRandom } from '../../../src/train/sparse/sample.ts'
import { selectByMagnitude } from '../../../src/train/sparse/select.ts'

/** The same by sorting everything. */
const sorted = (
  pools: ReadonlyArray<{ scores: Float32Array; codes: Uint8Array }>,
  eligible: number,
  count: number,
  end: 'lowest' | 'highest',
): ReadonlyArray<ReadonlyArray<number>> => {
  const all = pools.flatMap(({ scores, codes }, p) =>
    [...scores].flatMap((score, i) =>
      ((codes[i] ?? 0) & eligible) === 0 ? [] : [{ p, i, worth: Number.isNaN(score) ? 0 : Math.abs(score) }],
    ),
  )
  all.sort((a, b) => (end === 'lowest' ? a.worth - b.worth : b.worth - a.worth) || a.p - b.p || a.i - b.i)
  const taken = all.slice(0, Math.max(0, count))
  return pools.map((_, p) => taken.flatMap((x) => (x.p === p ? [x.i] : [])).sort((a, b) => a - b))
}

const number = fc.oneof(
  fc.float(),
  fc.constantFrom(0, -0, 1, -1, 2, NaN, Infinity, -Infinity, 1e-45, -1e-45, 3.4028234663852886e38),
  fc.integer({ min: -3, max: 3 }),
)

const pools = fc.array(fc.array(fc.tuple(number, fc.constantFrom(1, 2, 4, 8)), { maxLength: 60 }), {
  minLength: 1,
  maxLength: 5,
})

describe('selectByMagnitude', () => {
  it('agrees with a full sort, ties, NaN and infinities included', () => {
    fc.assert(
      fc.property(
        pools,
        fc.constantFrom(1, 2, 5),
        fc.integer({ min: -1, max: 200 }),
        fc.constantFrom('lowest', 'highest'),
        (drawn, eligible, count, end) => {
          const arrays = drawn.map((pool) => ({
            scores: Float32Array.from(pool, ([x]) => x),
            codes: Uint8Array.from(pool, ([, code]) => code),
          }))
          const expected = sorted(arrays, eligible, count, end)
          const before = arrays.map(({ scores, codes }) => ({ scores: scores.slice(), codes: codes.slice() }))
          const taken = selectByMagnitude(arrays, eligible, count, end, (from) => from + 100)
          for (const [p, { codes, scores }] of arrays.entries()) {
            expect([...codes.keys()].filter((i) => (codes[i] ?? 0) > 100)).toEqual(expected[p])
            expect([...codes].map((c) => (c > 100 ? c - 100 : c))).toEqual([...(before[p]?.codes ?? [])])
            expect(new Uint32Array(scores.buffer)).toEqual(
              new Uint32Array(before[p]?.scores.buffer ?? new ArrayBuffer(0)),
            )
            expect(taken[p]).toBe(expected[p]?.length)
          }
        },
      ),
      { numRuns: 150 },
    )
  })

  it('reads arrays that lie in the middle of a buffer', () => {
    const buffer = Float32Array.of(9, 9, 3, -1, 2, 9)
    const codes = Uint8Array.of(1, 1, 1)
    selectByMagnitude([{ scores: buffer.subarray(2, 5), codes }], 1, 1, 'lowest', () => 4)
    expect([...codes]).toEqual([1, 4, 1])
  })
})

describe('selectAtRandom', () => {
  it('takes exactly as many as asked, eligible ones only', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.constantFrom(1, 2, 4), { maxLength: 40 }), { maxLength: 4 }),
        fc.nat({ max: 120 }),
        fc.nat(),
        (drawn, count, seed) => {
          const arrays = drawn.map((codes) => Uint8Array.from(codes))
          const eligible = arrays.reduce((n, codes) => n + codes.filter((c) => (c & 6) !== 0).length, 0)
          const taken = selectAtRandom(arrays, 6, count, () => 16, drawsFrom(seededRandom(seed)))
          expect(taken.reduce((n, m) => n + m, 0)).toBe(Math.min(count, eligible))
          for (const [a, codes] of arrays.entries()) {
            expect(codes.filter((c) => c === 16).length).toBe(taken[a])
            expect(codes.every((c, i) => (c === 16 ? drawn[a]?.[i] !== 1 : c === drawn[a]?.[i]))).toBe(true)
          }
        },
      ),
    )
  })

  it('takes every pair of five equally often', () => {
    const draws = drawsFrom(seededRandom(7))
    const seen = new Map<string, number>()
    const runs = 20_000
    for (let r = 0; r < runs; r++) {
      const codes = [Uint8Array.of(2, 2), Uint8Array.of(1, 2, 2, 2)]
      selectAtRandom(codes, 2, 2, () => 16, draws)
      const key = codes.map((c) => c.join('')).join(' ')
      seen.set(key, (seen.get(key) ?? 0) + 1)
    }
    expect(seen.size).toBe(10)
    // Five standard deviations of a count with p = 1/10.
    for (const n of seen.values()) expect(Math.abs(n - runs / 10)).toBeLessThan(5 * Math.sqrt(runs * 0.09))
  })
})

describe('random numbers', () => {
  it('continue from a saved state', () => {
    const draws = drawsFrom(seededRandom(3))
    for (let i = 0; i < 100; i++) draws.next()
    const again = drawsFrom(Uint32Array.from(JSON.parse(JSON.stringify([...draws.state()]))))
    for (let i = 0; i < 100; i++) expect(again.next()).toBe(draws.next())
  })

  it('are those of xoshiro128**', () => {
    // The first words for the state 1, 2, 3, 4, by the authors' C code.
    const draws = drawsFrom(Uint32Array.of(1, 2, 3, 4))
    expect([1, 2, 3, 4].map(() => draws.next() * 2 ** 32)).toEqual([11_520, 0, 5_927_040, 70_819_200])
  })
})

describe('apportion', () => {
  it('keeps the sum, the bounds and the order of wishes', () => {
    const entry = fc.record({
      wish: fc.oneof(fc.constant(0), fc.double({ min: 1e-3, max: 1e4, noNaN: true })),
      low: fc.nat({ max: 30 }),
      room: fc.nat({ max: 100 }),
    })
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 8 }), fc.nat({ max: 900 }), (entries, total) => {
        const [low, high] = [entries.map((e) => e.low), entries.map((e) => e.low + e.room)]
        const out = apportion(
          total,
          entries.map((e) => e.wish),
          low,
          high,
        )
        const sum = (ns: ReadonlyArray<number>): number => ns.reduce((a, b) => a + b, 0)
        expect(sum(out)).toBe(Math.min(sum(high), Math.max(sum(low), total)))
        for (const [i, n] of out.entries()) {
          expect(Number.isInteger(n) && n >= (low[i] ?? 0) && n <= (high[i] ?? 0)).toBe(true)
          for (const [j, m] of out.entries()) {
            // Nobody may have two more than its part while another has room for its own.
            const [w, v] = [entries[i]?.wish ?? 0, entries[j]?.wish ?? 0]
            if (w === 0 || v === 0 || n <= (low[i] ?? 0) || m >= (high[j] ?? 0)) continue
            expect((n - 1) / w).toBeLessThanOrEqual((m + 1) / v + 1e-9 * (n / w + m / v))
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it('gives what is left to the largest remainders, then to those without a wish', () => {
    expect(apportion(10, [1, 1, 1], [0, 0, 0], [9, 9, 9])).toEqual([4, 3, 3])
    expect(apportion(10, [5, 3, 2], [0, 0, 0], [2, 9, 9])).toEqual([2, 5, 3])
    expect(apportion(9, [1, 0, 0], [0, 1, 0], [4, 3, 9])).toEqual([4, 1, 4])
    expect(apportion(3, [1, 1], [2, 2], [5, 5])).toEqual([2, 2])
  })
})
