import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Group, inMultiples, selectChannels, type Selection } from '../../src/masks/select.ts'

const group = (name: string, scores: ReadonlyArray<number>, dead: ReadonlyArray<number> = []): Group => ({
  name,
  scores: Float64Array.from(scores),
  alive: Uint8Array.from(scores, (_, i) => (dead.includes(i) ? 0 : 1)),
})

const gone = ({ removed }: Selection): ReadonlyArray<ReadonlyArray<number>> =>
  removed.map((marks) => [...marks].flatMap((mark, i) => (mark === 1 ? [i] : [])))

describe('selection of channels', () => {
  it('takes the lowest scores of all groups', () => {
    const selection = selectChannels([group('a', [5, 1, 4, 9]), group('b', [2, 8, 3, 7])], { channels: 0.5, floor: 0 })
    expect(gone(selection)).toEqual([
      [1, 2],
      [0, 2],
    ])
    expect(selection).toMatchObject({ wanted: 4, missing: 0, saturated: [false, false] })
  })

  it('cuts a group to its floor and takes the rest from the others', () => {
    // Floors ⌊4 · 0.4⌋ = 1. All four lowest are in a; three of them may go, the fourth comes from b.
    const selection = selectChannels([group('a', [1, 2, 3, 4]), group('b', [9, 8, 7, 6])], {
      channels: 0.5,
      floor: 0.4,
    })
    expect(selection.floors).toEqual([1, 1])
    expect(gone(selection)).toEqual([[0, 1, 2], [3]])
    expect(selection).toMatchObject({ missing: 0, saturated: [true, false] })
  })

  it('saturates one group after the other', () => {
    const groups = [group('a', [1, 1, 1, 1]), group('b', [2, 2, 2, 2]), group('c', [3, 3, 3, 3])]
    // Floors ⌊4 · 0.25⌋ = 1: 9 of 12 go, three from each, although a and b alone hold the eight lowest.
    const selection = selectChannels(groups, { channels: 0.75, floor: 0.25 })
    expect(gone(selection)).toEqual([
      [0, 1, 2],
      [0, 1, 2],
      [0, 1, 2],
    ])
    expect(selection).toMatchObject({ wanted: 9, missing: 0, saturated: [true, true, false] })
  })

  it('says how many are missing when every group is at its floor', () => {
    // 5 of 8 shall go; floors ⌊4 · 0.5⌋ = 2 let two of each go.
    const selection = selectChannels([group('a', [1, 2, 3, 4]), group('b', [5, 6, 7, 8])], {
      channels: 0.625,
      floor: 0.5,
    })
    expect(selection).toMatchObject({ wanted: 5, missing: 1, floors: [2, 2], saturated: [true, true] })
    expect(gone(selection)).toEqual([
      [0, 1],
      [0, 1],
    ])
  })

  it('leaves a group alone that is below its floor already', () => {
    const groups = [group('a', [1, 1, 1, 1], [0, 1, 2]), group('b', [5, 6, 7, 8])]
    const selection = selectChannels(groups, { channels: 0.75, floor: 0.5 })
    expect(gone(selection)).toEqual([[], [0, 1]])
    expect(selection).toMatchObject({ wanted: 3, missing: 1 })
  })

  it('does not lose a channel of a floor to rounding', () => {
    // 10 · (1 - 0.9) is 0.99999999999999978 in doubles.
    expect(
      selectChannels([group('a', new Array<number>(10).fill(1))], { channels: 0.9, floor: 1 - 0.9 }).floors,
    ).toEqual([1])
    expect(selectChannels([group('a', new Array<number>(100).fill(1))], { channels: 0.29, floor: 0 }).wanted).toBe(29)
  })

  it('breaks ties by group, then by channel', () => {
    const groups = [group('a', [1, 1, 1]), group('b', [1, 0, 1])]
    expect(gone(selectChannels(groups, { channels: 0.5, floor: 0 }))).toEqual([[0, 1], [1]])
  })

  it('counts channels that are gone already', () => {
    const selection = selectChannels([group('a', [0, 1, 2, 3], [0, 3])], { channels: 0.75, floor: 0 })
    expect(gone(selection)).toEqual([[1]])
    expect(gone(selectChannels([group('a', [0, 1, 2, 3], [0, 3])], { channels: 0.25, floor: 0 }))).toEqual([[]])
  })

  it('does nothing with nothing', () => {
    expect(selectChannels([], { channels: 0.9, floor: 0.2 })).toMatchObject({ wanted: 0, missing: 0 })
    expect(gone(selectChannels([group('a', [])], { channels: 0.9, floor: 0 }))).toEqual([[]])
  })

  const channel = fc.tuple(
    fc.oneof(fc.double({ min: 0, max: 9, noNaN: true }), fc.integer({ min: 0, max: 3 })),
    fc.boolean(),
  )
  const groups = fc.array(
    fc.array(channel, { maxLength: 30 }).map((list) => ({
      name: '',
      scores: Float64Array.from(list, ([score]) => score),
      alive: Uint8Array.from(list, ([, alive]) => (alive ? 1 : 0)),
    })),
    { maxLength: 6 },
  )
  const fraction = fc.integer({ min: 0, max: 59 }).map((n) => n / 60)
  const unit = fc.integer({ min: 0, max: 60 }).map((n) => n / 60)
  const ones = (marks: Uint8Array): number => marks.reduce((n, mark) => n + mark, 0)

  it('removes exactly what was asked for, only living channels, and never below a floor', () => {
    fc.assert(
      fc.property(groups, fraction, unit, (given, channels, floor) => {
        const selection = selectChannels(given, { channels, floor })
        const all = given.reduce((n, g) => n + g.alive.length, 0)
        const alive = given.reduce((n, g) => n + ones(g.alive), 0)
        const removed = selection.removed.reduce((n, marks) => n + ones(marks), 0)
        expect(selection.wanted).toBe(Math.max(0, Math.round(channels * all) - (all - alive)))
        expect(removed).toBe(selection.wanted - selection.missing)
        expect(selection.missing).toBeGreaterThanOrEqual(0)
        given.forEach((g, at) => {
          const marks = selection.removed[at] ?? new Uint8Array()
          marks.forEach((mark, i) => expect(mark).toBeLessThanOrEqual(g.alive[i] ?? 0))
          const left = ones(g.alive) - ones(marks)
          if (ones(marks) > 0) expect(left).toBeGreaterThanOrEqual(selection.floors[at] ?? NaN)
          if (selection.missing > 0) expect(left).toBe(Math.min(ones(g.alive), selection.floors[at] ?? NaN))
        })
      }),
      { numRuns: 1000 },
    )
  })

  it('removes no channel while one worth less stays in its group, nor in any group that its floor does not hold', () => {
    fc.assert(
      fc.property(groups, fraction, unit, (given, channels, floor) => {
        const { removed, saturated } = selectChannels(given, { channels, floor })
        const scoresWhere = (at: number, mark: number): ReadonlyArray<number> =>
          [...(given[at]?.scores ?? [])].filter((_, i) => given[at]?.alive[i] === 1 && removed[at]?.[i] === mark)
        const free = given.flatMap((_, at) => (saturated[at] === true ? [] : [at]))
        const pools = [...given.map((_, at) => [at]), free]
        for (const pool of pools) {
          const highestGone = Math.max(-Infinity, ...pool.flatMap((at) => scoresWhere(at, 1)))
          const lowestLeft = Math.min(Infinity, ...pool.flatMap((at) => scoresWhere(at, 0)))
          expect(highestGone).toBeLessThanOrEqual(lowestLeft)
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('in multiples leaves every group a multiple or all, nearest to its own width, its lowest scores gone', () => {
    fc.assert(
      fc.property(groups, fraction, unit, fc.integer({ min: 1, max: 9 }), (given, channels, floor, multiple) => {
        const chosen = selectChannels(given, { channels, floor })
        const rounded = inMultiples(given, chosen, multiple)
        if (multiple === 1) expect(rounded).toEqual(chosen)
        given.forEach(({ alive, scores }, g) => {
          const [before, after] = [chosen.removed[g] ?? alive, rounded.removed[g] ?? alive]
          const living = ones(alive)
          const [wanted, kept] = [living - ones(before), living - ones(after)]
          if (wanted < multiple) expect(after).toEqual(before)
          else {
            const widths = Array.from({ length: living }, (_, i) => i + 1).filter(
              (w) => (w % multiple === 0 && w >= (chosen.floors[g] ?? 0)) || w === living,
            )
            const least = Math.min(...widths.map((w) => Math.abs(w - wanted)))
            expect(widths).toContain(kept)
            expect(kept).toBe(Math.max(...widths.filter((w) => Math.abs(w - wanted) === least)))
          }
          const worth = (mark: number): number[] => [...scores].filter((_, i) => alive[i] === 1 && after[i] === mark)
          expect(Math.max(-Infinity, ...worth(1))).toBeLessThanOrEqual(Math.min(Infinity, ...worth(0)))
        })
      }),
      { numRuns: 1000 },
    )
  })

  it('removes a channel still when it is worth less than before', () => {
    fc.assert(
      fc.property(groups, fraction, unit, fc.nat(), fc.nat(), (given, channels, floor, g, i) => {
        const before = selectChannels(given, { channels, floor })
        const at = g % Math.max(1, given.length)
        const scores = given[at]?.scores
        if (scores === undefined || scores.length === 0) return
        const index = i % scores.length
        if (before.removed[at]?.[index] !== 1) return
        const lower = given.map((one, k) =>
          k === at ? { ...one, scores: one.scores.map((score, j) => (j === index ? score - 1 : score)) } : one,
        )
        expect(selectChannels(lower, { channels, floor }).removed[at]?.[index]).toBe(1)
      }),
      { numRuns: 1000 },
    )
  })
})
