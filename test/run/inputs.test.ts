import * as E from 'fp-ts/lib/Either.js'
import { describe, expect, it } from 'vitest'
import { elements } from '../../src/ir/tensor.ts'
import { type Bindings, type ValueRange, seededInputs, shapeOf, sizeChoices } from '../../src/run/inputs.ts'
import type { ValueInfo } from '../../src/run/protocol.ts'

const image: ValueInfo = { name: 'x', dtype: 'float32', shape: ['N', 3, 'H', 'W'] }
const tokens: ValueInfo = { name: 'ids', dtype: 'int64', shape: ['N', null] }

const right = <A>(x: E.Either<unknown, A>): A => {
  if (E.isLeft(x)) throw new Error(JSON.stringify(x.left))
  return x.right
}

describe('sizeChoices', () => {
  it('tries batch 1, then 3, and images of 32 and more; each choice once', () => {
    const choices = right(sizeChoices([image]))
    expect(choices.slice(0, 3)).toEqual([
      { N: 1, H: 32, W: 32 },
      { N: 3, H: 48, W: 48 },
      { N: 2, H: 64, W: 64 },
    ])
    expect(new Set(choices.map((c) => JSON.stringify(c))).size).toBe(choices.length)
  })

  it('knows height and width of images with channels last', () => {
    const first = (...shape: ReadonlyArray<string | number>) =>
      right(sizeChoices([{ name: 'x', dtype: 'float32', shape }]))[0]
    expect(first('N', 'H', 'W', 3)).toEqual({ N: 1, H: 32, W: 32 })
    expect(first('N', 'C', 'H', 'W')).toEqual({ N: 1, C: 3, H: 32, W: 32 })
    expect(first('N', 'C', 'H', 48)).toEqual({ N: 1, C: 3, H: 32 })
    expect(first('N', 3, 'H', 4)).toEqual({ N: 1, H: 32 })
  })

  it('gives equal names equal sizes and unnamed dimensions their place', () => {
    for (const sizes of right(sizeChoices([image, tokens]))) {
      expect(shapeOf(image, sizes)?.[0]).toBe(shapeOf(tokens, sizes)?.[0])
      expect(shapeOf(tokens, sizes)?.[1]).toBe(sizes['ids[1]'])
    }
    expect(new Set(right(sizeChoices([tokens])).map((s) => s['ids[1]']))).toContain(7)
  })

  it('keeps what is bound by name, by place and as a whole shape', () => {
    for (const sizes of right(sizeChoices([image, tokens], { N: 5, 'ids[1]': 11 }))) {
      expect(sizes).toMatchObject({ N: 5, 'ids[1]': 11 })
    }
    expect(right(sizeChoices([image], { x: [2, 3, 10, 12] }))).toEqual([{ N: 2, H: 10, W: 12 }])
    const unknown: ValueInfo = { name: 'u', dtype: 'float32', shape: [] }
    const [sizes] = right(sizeChoices([unknown], { u: [2, 5] }))
    expect(shapeOf(unknown, sizes)).toEqual([2, 5])
  })

  it('has one choice for a model of fixed sizes', () => {
    expect(right(sizeChoices([{ name: 'x', dtype: 'float32', shape: [1, 3] }]))).toEqual([{}])
  })

  it('starts at the size of photographs for measuring, with the batch asked for', () => {
    expect(right(sizeChoices([image], {}, 'measure', 4))[0]).toEqual({ N: 4, H: 224, W: 224 })
  })

  const wrong: ReadonlyArray<readonly [string, Bindings, string]> = [
    ['a name that is no dimension', { M: 4 }, 'N, H, W'],
    ['a name that is no input', { z: [1, 2] }, 'x'],
    ['another rank', { x: [1, 3, 8] }, '[1, 3, 8]'],
    ['another fixed size', { x: [1, 4, 8, 8] }, '[1, 4, 8, 8]'],
    ['a fraction', { N: 1.5 }, '1.5'],
    ['a negative size', { x: [-1, 3, 8, 8] }, '[-1, 3, 8, 8]'],
    ['two sizes for one name', { N: 2, x: [1, 3, 8, 8] }, '2 and 1'],
  ]
  for (const [what, bindings, found] of wrong) {
    it(`refuses ${what}`, () => {
      const choices = sizeChoices([image], bindings)
      expect(E.isLeft(choices) && choices.left.found).toContain(found)
      expect(E.isLeft(choices) && choices.left.help).toContain('--shape')
    })
  }
})

describe('seededInputs', () => {
  const inputs: ReadonlyArray<ValueInfo> = [
    { name: 'f', dtype: 'float32', shape: ['N', 100] },
    { name: 'g', dtype: 'float32', shape: ['N', 100] },
    { name: 'i', dtype: 'int64', shape: [200] },
    { name: 'u', dtype: 'uint8', shape: [200] },
    { name: 'b', dtype: 'bool', shape: [64] },
    { name: 's', dtype: 'string', shape: [16] },
    { name: 'h', dtype: 'float16', shape: [16] },
    { name: 'scalar', dtype: 'float64', shape: [] },
  ]
  const numbers = (name: string, seed = 1, range: ValueRange = 'wide'): ReadonlyArray<number> => {
    const tensor = right(seededInputs(inputs, seed, { N: 2 }, range)).get(name)
    if (tensor === undefined) throw new Error(name)
    return Array.from<number | bigint, number>(elements(tensor), Number)
  }

  it('is the same for the same seed and differs between seeds and inputs', () => {
    expect(right(seededInputs(inputs, 1, { N: 2 }))).toEqual(right(seededInputs(inputs, 1, { N: 2 })))
    expect(numbers('f')).not.toEqual(numbers('f', 2))
    expect(numbers('f')).not.toEqual(numbers('g'))
    expect(numbers('f')).toHaveLength(200)
    expect(numbers('scalar')).toHaveLength(1)
  })

  it('fills integers with small non-negative numbers, narrower when asked', () => {
    expect([...new Set(numbers('i'))].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    expect(Math.max(...numbers('u'))).toBeGreaterThan(200)
    expect([...new Set(numbers('i', 1, 'binary'))].sort()).toEqual([0, 1])
    expect([...new Set(numbers('i', 1, 'positive'))].sort()).toEqual([1, 2, 3])
    expect(Math.min(...numbers('f', 1, 'positive'))).toBeGreaterThanOrEqual(0)
    expect(Math.max(...numbers('f', 1, 'positive'))).toBeLessThanOrEqual(1)
    expect(new Set(numbers('i', 1, 'zero'))).toEqual(new Set([0]))
    expect([...new Set(numbers('b'))].sort()).toEqual([0, 1])
  })

  it('fills strings', () => {
    const strings = right(seededInputs(inputs, 1, { N: 2 })).get('s')?.strings ?? []
    expect(strings).toHaveLength(16)
    expect(new Set(strings.map((s) => new TextDecoder().decode(s))).size).toBeGreaterThan(1)
  })

  it('refuses to guess a size', () => {
    const missing = seededInputs(inputs, 1, {})
    expect(E.isLeft(missing) && missing.left).toMatchObject({ subject: "input 'f'", expected: 'sizes for N' })
  })

  it('refuses sizes that no memory holds before it takes any', () => {
    const huge = seededInputs(inputs, 1, { N: 1e9 })
    expect(E.isLeft(huge) && huge.left).toMatchObject({ subject: "input 'f'", found: '[1000000000, 100]' })
  })
})
