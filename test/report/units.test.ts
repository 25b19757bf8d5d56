import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { countBins, renderBars } from '../../src/report/histogram.ts'
import { toJson } from '../../src/report/json.ts'
import { formatRanges } from '../../src/report/ranges.ts'
import {
  formatBytes,
  formatChange,
  formatCount,
  formatMilliseconds,
  formatPercent,
  formatRatio,
  formatRelativeChange,
} from '../../src/report/units.ts'

describe('numbers as people read them', () => {
  it.each([
    [0, '0'],
    [999, '999'],
    [1000, '1.00 k'],
    [25_557_032, '25.6 M'],
    [4_116_000_000, '4.12 G'],
    [999_499, '999 k'],
    [999_950, '1.00 M'],
    [0.5, '0.5'],
    [118_013_952, '118 M'],
  ])('%d is %s', (value, text) => expect(formatCount(value)).toBe(text))

  it('has units', () => {
    expect(formatBytes(97_800_000)).toBe('97.8 MB')
    expect(formatBytes(12)).toBe('12 B')
    expect(formatMilliseconds(1234)).toBe('1.23 s')
    expect(formatMilliseconds(0.0371)).toBe('0.0371 ms')
    expect(formatRatio(2.0368)).toBe('2.04x')
    expect(formatPercent(0.8471)).toBe('84.7 %')
    expect(formatPercent(1)).toBe('100 %')
  })

  it('says what changed', () => {
    expect(formatChange('64', '40')).toBe('64 → 40')
    expect(formatChange('64', '64')).toBe('64')
    expect(formatRelativeChange(200, 100)).toBe('-50 %')
    expect(formatRelativeChange(1000, 971)).toBe('-2.9 %')
    expect(formatRelativeChange(100, 120)).toBe('+20 %')
    expect(formatRelativeChange(7, 7)).toBe('0 %')
    expect(formatRelativeChange(0, 0)).toBe('0 %')
  })
})

describe('indices as ranges', () => {
  it('are short', () => {
    expect(formatRanges([])).toBe('')
    expect(formatRanges([7])).toBe('7')
    expect(formatRanges([0, 1, 2, 3, 7, 9, 10])).toBe('0-3,7,9-10')
  })

  it('read back as the indices they stand for', () => {
    const read = (text: string): ReadonlyArray<number> =>
      text === ''
        ? []
        : text.split(',').flatMap((part) => {
            const [first = 0, last = first] = part.split('-').map(Number)
            return Array.from({ length: last - first + 1 }, (_, i) => first + i)
          })
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(60)), (indices) => {
        const sorted = [...indices].sort((a, b) => a - b)
        expect(read(formatRanges(sorted))).toEqual(sorted)
      }),
    )
  })
})

describe('histograms', () => {
  it('count every value once and show the fullest bin as a full bar', () => {
    expect(countBins([0, 0, 1, 2, 4], 4)).toEqual([2, 1, 1, 1])
    expect(countBins([0, 0], 3)).toEqual([2, 0, 0])
    expect(renderBars([8, 0, 4, 1])).toBe('█ ▄▁')
    expect(renderBars([0, 0])).toBe('  ')
  })
})

describe('JSON', () => {
  it('has a form for everything results hold', () => {
    const value = {
      big: 2n,
      none: NaN,
      far: Infinity,
      map: new Map([['a', 1]]),
      list: Float64Array.of(1, 2),
      gone: undefined,
    }
    const text = toJson(value)
    expect(JSON.parse(text)).toEqual({ big: '2', none: 'NaN', far: 'Infinity', map: { a: 1 }, list: [1, 2] })
  })
})
