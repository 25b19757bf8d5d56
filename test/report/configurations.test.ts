/** Runs of several seeds as one configuration, and which configurations no other beats. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ComparedRun } from '../../src/report/comparison.ts'
import { renderComparison } from '../../src/report/comparison-page.tsx'
import { areUnbeaten, areWorthATable, configurationsOf, spreadOf } from '../../src/report/configurations.ts'
import { plainStyle } from '../../src/report/terminal/style.ts'
import { renderRuns } from '../../src/report/terminal/comparison-table.ts'
import { training } from './fixtures.ts'

const runOf = (seed: number, batch: number, accuracy: number, macs: number, more: object = {}): ComparedRun => ({
  name: `batch=${batch},seed=${seed}`,
  settings: { model: 'net', data: 'mnist:x' },
  recipe: { ...training.recipe, seed, batch },
  history: training.history,
  figures: {
    ...{ accuracy, parameters: 10, macs, testImages: 10_000, where: 'here' },
    throughput: { q1: 1, median: 2, q3: 3 },
    speedup: { q1: 1, median: 2, q3: 3 },
  },
  ...more,
})

describe('the spread of numbers', () => {
  it('is mean and sample standard deviation', () => {
    expect(spreadOf([])).toBeUndefined()
    expect(spreadOf([3])).toEqual({ mean: 3, deviation: undefined, count: 1 })
    // Of 2, 4, 4, 4, 5, 5, 7, 9: squares that add up to 32, over 7.
    expect(spreadOf([2, 4, 4, 4, 5, 5, 7, 9])).toEqual({ mean: 5, deviation: Math.sqrt(32 / 7), count: 8 })
  })
})

describe('configurations', () => {
  const runs = [runOf(1, 8, 0.8, 100), runOf(1, 16, 0.5, 50), runOf(2, 8, 0.9, 200), runOf(2, 16, 0.7, 50)]

  it('are runs that differ in the seed alone', () => {
    const [first, second, ...none] = configurationsOf(runs)
    expect(none).toEqual([])
    expect([first?.name, second?.name]).toEqual(['batch 8', 'batch 16'])
    expect(first?.test?.mean).toBeCloseTo(0.85, 12)
    expect(first?.test?.deviation).toBeCloseTo(0.1 / Math.SQRT2, 12)
    expect(first?.macs?.deviation).toBeCloseTo(100 / Math.SQRT2, 9)
    expect(second?.macs?.deviation).toBe(0)
    expect([first?.ended, second?.runs.map(({ name }) => name)]).toEqual([2, ['batch=16,seed=1', 'batch=16,seed=2']])
  })

  it('count a run that is there twice once each, and near values as different', () => {
    const twice = configurationsOf([runOf(1, 8, 0.8, 100), runOf(1, 8, 0.9, 100)])
    expect(twice.map((one) => one.runs.length)).toEqual([1, 1])
    expect(areWorthATable(twice)).toBe(false)
    const near = [0.100001, 0.100002].map((momentum, at) => {
      const run = runOf(at, 8, 0.8, 100)
      return { ...run, recipe: { ...run.recipe, momentum } }
    })
    expect(configurationsOf(near)).toHaveLength(2)
  })

  it('are told of runs that have not come so far, too', () => {
    const { figures: _figures, ...begun } = runOf(3, 8, 0, 0, { history: [], problem: 'no space left' })
    const all = [...runs, begun]
    const [first] = configurationsOf(all)
    expect([first?.ended, first?.runs.length, first?.test?.count]).toEqual([2, 3, 2])
    const text = renderRuns(all, plainStyle)
    expect(text).toMatch(/^batch 8 +2 of 3 +85.00 % ± 7.07 %/m)
    expect(text).toMatch('batch=8,seed=3 failed: no space left')
    const page = renderComparison(all)
    expect(page).toMatch('2 of 3')
    expect(page).toMatch(
      'aria-label="test accuracy against multiply-accumulates: batch 8 150, 85 %; batch 16 50, 60 %."',
    )
    expect(page.includes('NaN')).toBe(false)
    expect(page.includes('Infinity')).toBe(false)
  })
})

describe('what no other point beats', () => {
  const point = fc.record({ cost: fc.integer({ min: 0, max: 4 }), worth: fc.integer({ min: 0, max: 4 }) })

  it('is beaten by none, and beats, or is, all others', () => {
    fc.assert(
      fc.property(fc.array(point, { minLength: 1, maxLength: 12 }), (points) => {
        const unbeaten = areUnbeaten(points)
        const front = points.filter((_, i) => unbeaten[i])
        expect(front.length).toBeGreaterThan(0)
        for (const [i, one] of points.entries()) {
          const better = points.some((other) => other.cost < one.cost && other.worth > one.worth)
          if (better) expect(unbeaten[i]).toBe(false)
          expect(front.some((other) => other.cost <= one.cost && other.worth >= one.worth)).toBe(true)
        }
        // On the front, who costs more is worth more.
        for (const a of front) for (const b of front) if (a.cost < b.cost) expect(a.worth).toBeLessThan(b.worth)
      }),
    )
  })
})
