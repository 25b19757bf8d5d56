/** Exchanges of DSnoT in single rows, step by step. Every input has the mean 1, so that a weight is what a row loses with it. */
import { describe, expect, it } from 'vitest'
import { type RefineOptions, refineDefaults, refineRow } from '../../src/masks/refine.ts'

interface Row {
  /** Weights that stay at first, in the order of what they are worth, and those that are masked. */
  readonly kept: ReadonlyArray<number>
  readonly masked: ReadonlyArray<number>
  readonly variance?: (place: number) => number
  readonly groupOf?: (place: number) => number
}

/** The places whose mask changed, and how many exchanges there were. */
const refined = (
  { kept, masked, variance = () => 1, groupOf }: Row,
  options: Partial<RefineOptions> = {},
): { readonly came: ReadonlyArray<number>; readonly went: ReadonlyArray<number>; readonly exchanges: number } => {
  const weights = Float64Array.from([...kept, ...masked])
  const bits = Uint8Array.from(weights, (_, place) => (place < kept.length ? 1 : 0))
  const exchanges = refineRow(
    {
      weights,
      scores: weights.map((_, place) => place),
      kept: bits,
      inputOf: (place) => place,
      ...(groupOf && { groupOf }),
    },
    { count: 1, mean: new Float64Array(weights.length).fill(1), variance: weights.map((_, place) => variance(place)) },
    1,
    { ...refineDefaults, ...options },
  )
  const weightsWhere = (is: (place: number) => boolean): ReadonlyArray<number> => [...weights].filter((_, at) => is(at))
  return {
    came: weightsWhere((at) => at >= kept.length && bits[at] === 1),
    went: weightsWhere((at) => at < kept.length && bits[at] === 0),
    exchanges,
  }
}

describe('a row', () => {
  it('gets back what lowers its error most, and loses what is worth least among what lowers it, too', () => {
    // Off by 4: 3 comes back and -1 goes, which leaves 0.
    expect(refined({ kept: [2, -1, -5], masked: [3, 1] })).toEqual({ came: [3], went: [-1], exchanges: 1 })
    expect(refined({ kept: [-2, 1, 5], masked: [-3, -1] })).toEqual({ came: [-3], went: [1], exchanges: 1 })
  })

  it('gets back what moves it least for its variance', () => {
    const variance = (place: number): number => (place === 2 ? 100 : 1)
    expect(refined({ kept: [2, -1], masked: [3, 1], variance }).came).toEqual([1])
  })

  it('may come to be off the other way, and goes on', () => {
    // Off by 4, then 4 - 5 - 3 = -4, then -4 + 2 + 1 = -1.
    const row = { kept: [2, -5], masked: [3, 2, -1] }
    expect(refined(row)).toEqual({ came: [3, -1], went: [2, -5], exchanges: 2 })
    expect(refined(row, { cycles: 1 }).exchanges).toBe(1)
    expect(refined(row, { threshold: 4 }).exchanges).toBe(0)
  })

  it('is done where what is left would make it worse, or came back before', () => {
    // Off by -9.5; then -9.5 + 20 + 10 = 20.5; then 20.5 - 1 - 1 = 18.5, where only -0.5 could come back.
    expect(refined({ kept: [20, -1, -30], masked: [1, -10, -0.5] })).toEqual({
      came: [1, -10],
      went: [20, -1],
      exchanges: 2,
    })
    // Off by 2; then 2 - 9 - 2 = -9, and 2, which is in place, is all there is.
    expect(refined({ kept: [9, -9], masked: [2] })).toEqual({ came: [2], went: [-9], exchanges: 1 })
  })

  it('is done where nothing can go', () => {
    expect(refined({ kept: [2, 5], masked: [3, 1] }).exchanges).toBe(0)
    expect(refined({ kept: [], masked: [3] }).exchanges).toBe(0)
    expect(refined({ kept: [-1], masked: [] }).exchanges).toBe(0)
  })
})

describe('a row in groups', () => {
  const groupOf = (place: number): number => place % 2
  it('loses what is worth least in the group, whatever its sign', () => {
    // Places 0 and 2 are one group, 1 and 3 the other. Off by 5: 3 comes back for the -1 of its group, then 2 for another 2.
    const row = { kept: [-1, 2], masked: [3, 2], groupOf }
    expect(refined(row, { cycles: 1 })).toEqual({ came: [3], went: [-1], exchanges: 1 })
    expect(refined(row)).toEqual({ came: [3, 2], went: [-1, 2], exchanges: 2 })
    // Behind the 7, for which -1 goes, comes the 3, whose group has nothing left to lose.
    expect(refined({ ...row, masked: [3, 2, 7] })).toEqual({ came: [7], went: [-1], exchanges: 1 })
  })
  it('is done before it would be off the other way', () => {
    expect(refined({ kept: [-9, 1], masked: [3, 2], groupOf }).exchanges).toBe(0)
  })
})
