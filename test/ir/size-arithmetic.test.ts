/** Arithmetic on shapes inside a model: exact on numbers, a symbol only where it cannot be wrong. */
import { describe, expect, test } from 'vitest'
import { addSizes, divideSizes, multiplySizes, subtractSizes } from '../../src/ir/families/size-arithmetic.ts'
import { isKnownElement } from '../../src/ir/sizes.ts'
import type { Dim } from '../../src/ir/type.ts'
import { read } from '../passes/laws.ts'

/** Contents of `y`, which `body` computes; `s` is `[N, 4, H]`, the shape of the input. */
const contentOf = (body: string): ReadonlyArray<Dim> | undefined =>
  read(`input x: float32[N,4,H]
    s = Shape(x)
    ${body}
    output y: int64[*]`).contents.get('y')

test('numbers are computed exactly, quotients truncated', () => {
  expect(addSizes(3, -5)).toBe(-2)
  expect(subtractSizes(3, 5)).toBe(-2)
  expect(multiplySizes(3, -5)).toBe(-15)
  expect(divideSizes(7, 2)).toBe(3)
  expect(divideSizes(-7, 2)).toBe(-3)
  expect(divideSizes(7, -2)).toBe(-3)
})

test('what changes nothing leaves the symbol', () => {
  expect(addSizes('N', 0)).toBe('N')
  expect(addSizes(0, 'N')).toBe('N')
  expect(subtractSizes('N', 0)).toBe('N')
  expect(subtractSizes('N', 'N')).toBe(0)
  expect(multiplySizes('N', 1)).toBe('N')
  expect(multiplySizes(1, 'N')).toBe('N')
  expect(multiplySizes('N', 0)).toBe(0)
  expect(divideSizes('N', 1)).toBe('N')
})

test('equal computations give equal symbols, different ones different symbols', () => {
  expect(multiplySizes('N', 2)).toBe(multiplySizes('N', 2))
  expect(multiplySizes('N', 2)).not.toBe(multiplySizes('N', 3))
  expect(multiplySizes('N', 2)).not.toBe(addSizes('N', 2))
  expect(divideSizes('N', 2)).not.toBe(divideSizes('N', 3))
  expect(multiplySizes('N', 2)).toBeTypeOf('string')
  expect(addSizes('N', 2)).toBeTypeOf('string')
  expect(divideSizes('N', 2)).toBeTypeOf('string')
})

test('a quotient without remainder is a product', () => {
  expect(divideSizes(multiplySizes('N', 4) ?? '', 2)).toBe(multiplySizes('N', 2))
  expect(divideSizes(multiplySizes('N', 'M') ?? '', 'N')).toBe('M')
})

test('what may be negative, or no number, is not a size', () => {
  expect(subtractSizes('N', 1)).toBeUndefined()
  expect(subtractSizes(5, 'N')).toBeUndefined()
  expect(addSizes('N', -1)).toBeUndefined()
  expect(multiplySizes('N', -1)).toBeUndefined()
  expect(divideSizes('N', -2)).toBeUndefined()
  expect(divideSizes('N', 0)).toBeUndefined()
  expect(divideSizes(6, 'N')).toBeUndefined()
  expect(multiplySizes(-2, 'N')).toBeUndefined()
})

describe('in a model', () => {
  test('element by element, a single element for all', () => {
    expect(contentOf(`const two: int64[] = 2\n y = Mul(s, two)`)).toEqual([
      multiplySizes('N', 2),
      8,
      multiplySizes('H', 2),
    ])
    expect(contentOf(`const c: int64[3] = [0, 1, 0]\n y = Add(s, c)`)).toEqual(['N', 5, 'H'])
  })

  test('an element that is not known leaves the others known', () => {
    const content = contentOf(`const c: int64[3] = [0, 1, 1]\n y = Sub(s, c)`)
    expect(content?.slice(0, 2)).toEqual(['N', 3])
    expect(content?.map(isKnownElement)).toEqual([true, true, false])
  })

  test('what is computed from an unknown element is unknown', () => {
    const content = contentOf(`const c: int64[3] = [0, 1, 1]
      const two: int64[] = 2
      t = Sub(s, c)
      y = Mul(t, two)`)
    expect(content?.map(isKnownElement)).toEqual([true, true, false])
  })

  test('a product beyond what a number holds exactly is not known', () => {
    expect(
      contentOf(`const c: int64[1] = [4611686018427387]\n const d: int64[1] = [4096]\n y = Mul(c, d)`),
    ).toBeUndefined()
  })

  test('the number of elements, and whether it is the same one', () => {
    const product = (n: string): ReadonlyArray<Dim> | undefined =>
      contentOf(`const c: int64[3] = [${n}, 1, 1]\n t = Mul(s, c)\n y = ReduceProd(t) { keepdims: 0 }`)
    expect(product('1')).toEqual(product('1'))
    expect(product('1')).not.toEqual(product('2'))
    expect(product('0')).toEqual([0])
  })

  test('the remainder has the sign of the divisor', () => {
    expect(contentOf(`const a: int64[2] = [-7, 7]\n const b: int64[2] = [3, -3]\n y = Mod(a, b)`)).toEqual([2, -2])
  })
})
