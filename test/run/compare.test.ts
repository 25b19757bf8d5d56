import { describe, expect, it } from 'vitest'
import type { DType } from '../../src/ir/dtype.ts'
import { type Dense, tensorOf } from '../../src/ir/tensor.ts'
import { compareOutput, defaultTolerances, judgeTail, tolerancesThrough } from '../../src/run/compare.ts'
import { quartiles } from '../../src/run/statistics.ts'

const of = (dtype: DType, values: ReadonlyArray<number>, shape: ReadonlyArray<number> = [values.length]): Dense =>
  tensorOf(dtype, shape, values)
const strings = (...values: ReadonlyArray<string>): Dense => ({
  tag: 'Dense',
  dtype: 'string',
  shape: [values.length],
  bytes: new Uint8Array(),
  strings: values.map((v) => new TextEncoder().encode(v)),
})

describe('compareOutput', () => {
  it('measures the largest difference against the largest value', () => {
    const result = compareOutput('y', of('float32', [1, -8, 0]), of('float32', [1, -8, 0.5]))
    expect(result).toMatchObject({ maxAbs: 0.5, maxReference: 8, relative: 0.0625, equal: false, vacuous: false })
  })

  const around: ReadonlyArray<readonly [DType, number, number]> = [
    ['float32', 0.5e-4, 2e-4],
    ['float16', 1e-2, 4e-2],
    ['bfloat16', 1e-2, 4e-2],
    ['float64', 0.5e-9, 2e-9],
  ]
  for (const [dtype, inside, outside] of around) {
    it(`allows ${inside} and refuses ${outside} of ${dtype}`, () => {
      expect(compareOutput('y', of(dtype, [1, 0]), of(dtype, [1, inside])).equal).toBe(true)
      expect(compareOutput('y', of(dtype, [1, 0]), of(dtype, [1, outside])).equal).toBe(false)
    })
  }

  it('is no stricter with an output than with a type that its numbers pass through', () => {
    const through = tolerancesThrough(defaultTolerances, 'float16')
    expect(through).toEqual({ float32: 2e-2, float16: 2e-2, bfloat16: 2e-2, float64: 2e-2 })
    expect(tolerancesThrough(defaultTolerances, 'float32').float16).toBe(2e-2)
    expect(tolerancesThrough(defaultTolerances, undefined)).toBe(defaultTolerances)
  })

  it('wants NaN and infinities at the same places', () => {
    const reference = of('float32', [NaN, Infinity, -Infinity, 1])
    expect(compareOutput('y', reference, of('float32', [NaN, Infinity, -Infinity, 1]))).toMatchObject({
      equal: true,
      nonFinite: 0,
      vacuous: false,
    })
    for (const other of [
      [0, Infinity, -Infinity, 1],
      [NaN, -Infinity, -Infinity, 1],
      [NaN, NaN, -Infinity, 1],
      [NaN, Infinity, -Infinity, NaN],
      [NaN, Infinity, -Infinity, Infinity],
    ]) {
      expect(compareOutput('y', reference, of('float32', other))).toMatchObject({ equal: false, nonFinite: 1 })
    }
  })

  it('says when the reference proves little', () => {
    for (const values of [[0, 0], [-0, 0], [NaN, NaN], [NaN, 0, Infinity], []]) {
      const result = compareOutput('y', of('float32', values), of('float32', values))
      expect(result).toMatchObject({ equal: true, vacuous: true, relative: 0 })
    }
    expect(compareOutput('y', of('float32', [0, 0]), of('float32', [0, 1e-30]))).toMatchObject({
      equal: false,
      relative: Infinity,
    })
  })

  it('wants integers and booleans to be equal and counts those that are not', () => {
    for (const dtype of ['int64', 'uint64', 'int32', 'uint8', 'bool'] as const) {
      expect(compareOutput('y', of(dtype, [1, 0, 1, 1]), of(dtype, [1, 0, 1, 1]))).toMatchObject({ equal: true })
      expect(compareOutput('y', of(dtype, [1, 0, 1, 1]), of(dtype, [1, 0, 0, 1]))).toMatchObject({
        equal: false,
        differing: 0.25,
        maxAbs: 1,
        tolerance: 0,
      })
    }
  })

  it('sees a difference of 1 beyond the precision of a double', () => {
    const a = { ...of('int64', [0]), bytes: new Uint8Array(BigInt64Array.of(2n ** 62n).buffer) }
    const b = { ...of('int64', [0]), bytes: new Uint8Array(BigInt64Array.of(2n ** 62n + 1n).buffer) }
    expect(compareOutput('y', a, b)).toMatchObject({ equal: false, maxAbs: 1 })
  })

  it('compares strings', () => {
    expect(compareOutput('y', strings('a', 'bé'), strings('a', 'bé'))).toMatchObject({ equal: true, vacuous: false })
    expect(compareOutput('y', strings('a', 'bé'), strings('a', 'be'))).toMatchObject({ equal: false, differing: 0.5 })
  })

  it('never calls another shape or type equal', () => {
    const shape = compareOutput('y', of('float32', [1, 2], [2]), of('float32', [1, 2], [1, 2]))
    expect(shape).toMatchObject({ equal: false, note: expect.stringContaining('float32[1, 2]') })
    expect(compareOutput('y', of('float32', [1]), of('float64', [1])).equal).toBe(false)
  })

  it('tells how often the largest class agrees', () => {
    const a = of('float32', [1, 2, 3, 3, 2, 1], [2, 3])
    const b = of('float32', [1, 2, 3, 1, 2, 3], [2, 3])
    expect(compareOutput('y', a, b).argmaxAgreement).toBe(0.5)
    // Two positions of two classes each: classes stand along axis 1.
    const c = of('float32', [1, 5, 2, 4], [1, 2, 2])
    const d = of('float32', [1, 5, 2, 6], [1, 2, 2])
    expect(compareOutput('y', c, d).argmaxAgreement).toBe(0.5)
  })
})

describe('the tail of a sigmoid', () => {
  const digit = 2 ** -24
  const judged = (reference: ReadonlyArray<number>, candidate: ReadonlyArray<number>): boolean =>
    judgeTail(compareOutput('y', of('float32', reference), of('float32', candidate))).equal

  it('may differ by four times the last digit of 0.5', () => {
    expect(judged([digit / 2, digit, 0], [digit * 2, digit * 5, 0])).toBe(true)
    expect(judged([digit / 2, digit, 0], [digit * 2, digit * 5.5, 0])).toBe(false)
  })

  it('is one only where every number is a multiple of half of that', () => {
    expect(judged([digit, digit * 1.25], [digit, digit])).toBe(false)
    expect(judged([0, 0], [0, digit])).toBe(false)
    expect(judged([1e-20], [2e-20])).toBe(false)
    expect(judged([1, 2], [1, 3])).toBe(false)
    expect(judged([NaN, digit], [digit, digit])).toBe(false)
  })
})

describe('quartiles', () => {
  it('interpolates', () => {
    expect(quartiles([4, 1, 3, 2, 5])).toEqual({ q1: 2, median: 3, q3: 4 })
    expect(quartiles([2, 1])).toEqual({ q1: 1.25, median: 1.5, q3: 1.75 })
    expect(quartiles([7])).toEqual({ q1: 7, median: 7, q3: 7 })
  })
})
