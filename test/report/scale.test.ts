/** Scales of charts: round numbers, ends that hold all values. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { niceScaleOf, scaleOf } from '../../src/report/view/scale.ts'

describe('scales of charts', () => {
  it('takes ends to ends', () => {
    const { at } = scaleOf(2, 6, [100, 0])
    expect([2, 3, 6].map(at)).toEqual([100, 75, 0])
  })

  it.each([
    [0, 1, 4, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0, 2048, 4, [0, 500, 1000, 1500, 2000]],
    [0, 7, 4, [0, 2, 4, 6]],
    [-1, 1, 4, [-1, -0.5, 0, 0.5, 1]],
    [0.00014, 0.0002, 4, [0.00014, 0.00016, 0.00018, 0.0002]],
    [0, 160, 5, [0, 50, 100, 150]],
    [3, 3, 4, [3]],
  ])('from %d to %d has about %d round numbers', (from, to, count, ticks) => {
    expect(scaleOf(from, to, [0, 1]).ticks(count)).toEqual(ticks)
  })

  it.each([
    [0, 2049, [0, 500, 1000, 1500, 2000, 2500]],
    [0.123, 0.178, [0.12, 0.14, 0.16, 0.18]],
    [0, 0, [0]],
  ])('is widened from %d to %d', (from, to, ticks) => {
    expect(niceScaleOf(from, to, 4, [0, 1]).ticks(4)).toEqual(ticks)
  })

  it('has all values on it, and the ends of a widened one are ticks', () => {
    const number = fc.double({ min: -1e9, max: 1e9, noNaN: true })
    const property = fc.property(number, number, (a, b) => {
      const [from, to] = a < b ? [a, b] : [b, a]
      fc.pre(to - from > 1e-6 * Math.max(1, Math.abs(from), Math.abs(to)))
      const { at, ticks } = niceScaleOf(from, to, 4, [0, 100])
      expect(at(from)).toBeGreaterThanOrEqual(-1e-6)
      expect(at(to)).toBeLessThanOrEqual(100 + 1e-6)
      const marks = ticks(4)
      expect(marks.length).toBeGreaterThan(1)
      expect(marks.length).toBeLessThan(12)
      expect(at(marks[0] ?? NaN)).toBeCloseTo(0, 4)
      expect(at(marks.at(-1) ?? NaN)).toBeCloseTo(100, 4)
    })
    fc.assert(property)
  })
})
