/** Activation statistics: sums of parts are the sum of the whole, and files are read as they were written. */
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { renderError } from '../../src/ir/failure.ts'
import { int64s, type Tensor, tensorOf } from '../../src/ir/tensor.ts'
import { encodeSafetensors } from '../../src/masks/safetensors.ts'
import {
  type ChannelStatistics,
  decodeStatistics,
  encodeStatistics,
  mergeStatistics,
  rootMeanSquares,
  type Statistics,
} from '../../src/masks/statistics.ts'
import { concat } from './files.ts'

/** By definition, of one channel. */
const statisticsOf = (values: ReadonlyArray<number>): ChannelStatistics => {
  const mean = values.reduce((sum, x) => sum + x / values.length, 0)
  const variance = values.reduce((sum, x) => sum + (x - mean) ** 2 / values.length, 0)
  return { count: values.length, mean: Float64Array.of(mean), variance: Float64Array.of(variance) }
}

describe('merging', () => {
  it('gives what all values together have, however they are divided', () => {
    const value = fc.double({ min: -4, max: 4, noNaN: true })
    const parts = fc.array(fc.array(value, { minLength: 1, maxLength: 9 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(parts, fc.constantFrom(0, 1, 1e8), fc.constantFrom(1, 1e-150, 1e100), (lists, offset, scale) => {
        const shifted = lists.map((list) => list.map((x) => (x + offset) * scale))
        const merged = shifted.map(statisticsOf).reduce(mergeStatistics)
        const whole = statisticsOf(shifted.flat())
        expect(merged.count).toBe(whole.count)
        // To the rounding of the values themselves, which lie up to 8 apart.
        const unit = 2 ** -50 * (4 + offset) * scale
        expect(Math.abs((merged.mean[0] ?? NaN) - (whole.mean[0] ?? NaN))).toBeLessThanOrEqual(unit)
        const off = Math.abs((merged.variance[0] ?? NaN) - (whole.variance[0] ?? NaN))
        expect(off).toBeLessThanOrEqual(1e-12 * (whole.variance[0] ?? NaN) + unit * 8 * scale)
      }),
    )
  })

  it('does not lose the variance behind a large mean', () => {
    const merged = mergeStatistics(statisticsOf([1e8, 1e8 + 2]), statisticsOf([1e8 + 4, 1e8 + 6]))
    expect(merged).toEqual({ count: 4, mean: Float64Array.of(1e8 + 3), variance: Float64Array.of(5) })
    expect(mergeStatistics({ ...merged, count: 0 }, merged)).toBe(merged)
    expect(mergeStatistics(merged, { ...merged, count: 0 })).toBe(merged)
  })
})

it('roots of mean squares are norms by the root of the count', () => {
  const [root] = rootMeanSquares(statisticsOf([3, -4, 12, 0]))
  expect(root).toBeCloseTo(Math.hypot(3, -4, 12) / 2, 14)
})

const example: Statistics = {
  samples: 3,
  layers: new Map([
    ['b.count', { count: 12, mean: Float64Array.of(0.1, -1e-300), variance: Float64Array.of(0, 2 / 3) }],
    ['a', { count: 2 ** 40, mean: Float64Array.of(), variance: Float64Array.of() }],
  ]),
}

describe('a file', () => {
  it('is read as it was written, to the bit, and has the same bytes again', () => {
    const bytes = concat(...encodeStatistics(example))
    const read = decodeStatistics(bytes)
    if (E.isLeft(read)) throw new Error(renderError(read.left))
    expect(read.right.samples).toBe(3)
    expect(new Map(read.right.layers)).toEqual(example.layers)
    expect(concat(...encodeStatistics(read.right))).toEqual(bytes)
  })

  const metadata = new Map([
    ['format', 'chasec activation statistics 1'],
    ['samples', '3'],
  ])
  const tensors = new Map<string, Tensor>([
    ['w.mean', tensorOf('float64', [2], [1, 2])],
    ['w.variance', tensorOf('float64', [2], [1, 2])],
    ['w.squares', tensorOf('float64', [2], [1, 2])],
    ['w.count', int64s([5], [])],
  ])
  it.each<[string, ReadonlyArray<[string, Tensor]>, ReadonlyArray<[string, string]>, RegExp]>([
    ['masks', [], [['format', 'pt']], /expected the format chasec activation statistics 1, found pt/],
    ['no count of samples', [], [['samples', '2.5']], /samples: expected a count, found 2.5/],
    [
      'another tensor',
      [['w.median', tensorOf('float64', [2], [1, 2])]],
      [],
      /tensor w.median: expected a name that ends/,
    ],
    [
      'a missing part',
      [['v.mean', tensorOf('float64', [2], [1, 2])]],
      [],
      /v.count: expected a count as int64, found NaN/,
    ],
    ['a count of none', [['w.count', int64s([0], [])]], [], /w.count: expected a count as int64, found 0/],
    [
      'single precision',
      [['w.mean', tensorOf('float32', [2], [1, 2])]],
      [],
      /weight w: expected mean, variance and squares as/,
    ],
    [
      'fewer variances',
      [['w.variance', tensorOf('float64', [1], [1])]],
      [],
      /as many variances and squares as means, found 2, 1, 2/,
    ],
    [
      'a negative variance',
      [['w.variance', tensorOf('float64', [2], [1, -1])]],
      [],
      /variances and squares of 0 or more/,
    ],
    ['a mean that is no number', [['w.mean', tensorOf('float64', [2], [1, NaN])]], [], /expected finite numbers/],
  ])('with %s is refused', (_, parts, more, message) => {
    const pieces = encodeSafetensors(new Map([...tensors, ...parts]), new Map([...metadata, ...more]))
    const read = decodeStatistics(concat(...pieces))
    expect(E.isLeft(read) ? renderError(read.left) : 'read').toMatch(message)
  })

  it('that is damaged is refused', () => {
    expect(E.isLeft(decodeStatistics(concat(...encodeStatistics(example)).subarray(0, -1)))).toBe(true)
  })
})
