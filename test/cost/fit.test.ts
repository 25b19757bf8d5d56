/** Coefficients from measurements. */
import { describe, expect, test } from 'vitest'
import { fit } from '../../src/cost/fit.ts'
import { normals, uniforms } from '../inflate.ts'

describe('fit', () => {
  const rowsOf = (coefficients: ReadonlyArray<number>, noise: number, outliers = 0) => {
    const uniform = uniforms(3)
    const normal = normals(uniform)
    return Array.from({ length: 200 }, (_, i) => {
      const terms = coefficients.map((_, j) => (j === coefficients.length - 1 ? 1 : 10 ** (6 * uniform())))
      const exact = terms.reduce((sum, term, j) => sum + term * (coefficients[j] ?? 0), 0)
      return { terms, time: exact * Math.exp(noise * normal()) * (i < outliers ? 8 : 1) }
    })
  }
  test('finds what the times were made of', () => {
    const made = [0.007, 0.3, 0, 1500]
    fit(rowsOf(made, 0)).forEach((x, j) => {
      expect(x).toBeCloseTo(made[j] ?? NaN, 6)
    })
  })
  test('a tenth of the times that a neighbour disturbed does not move it', () => {
    const [first, second] = fit(rowsOf([0.007, 0.3, 1500], 0.02, 20))
    expect(first).toBeGreaterThan(0.0068)
    expect(first).toBeLessThan(0.0072)
    expect(second).toBeGreaterThan(0.29)
    expect(second).toBeLessThan(0.31)
  })
  test('nothing costs less than nothing', () => {
    const rows = rowsOf([1, 0, 10], 0.3)
    for (const x of fit(rows.map(({ terms, time }) => ({ terms, time: Math.max(1, time - 5 * (terms[1] ?? 0)) })))) {
      expect(x).toBeGreaterThanOrEqual(0)
    }
  })
  test('of no rows there is nothing', () => {
    expect(fit([])).toEqual([])
  })
})
