import { describe, expect, test } from 'vitest'
import { isKnownElement, productOf, quotientOf, unknownElement } from '../../src/ir/sizes.ts'
import type { Dim } from '../../src/ir/type.ts'

describe('products', () => {
  test.each<readonly [ReadonlyArray<Dim>, Dim | undefined]>([
    [[], 1],
    [[2, 3], 6],
    [['N'], 'N'],
    [['N', 1], 'N'],
    [['N', 0], 0],
    [['N', 4], 'mul(4,N)'],
    [['W', 'H'], 'mul(1,H,W)'],
    [['mul(4,N)', 3, 'A'], 'mul(12,A,N)'],
    [['?x.0', 2], '?mul(2,?x.0)'],
    [['?mul(2,?x.0)', 'N'], '?mul(2,?x.0,N)'],
    [['window(2,1)(H,3)', 2], 'mul(2,window(2,1)(H,3))'],
    [['a,b', 2], undefined],
    [['a)', 2], undefined],
    [[2 ** 30, 2 ** 30], undefined],
  ])('%j', (dims, expected) => expect(productOf(dims)).toBe(expected))

  test('do not depend on order or grouping', () => {
    expect(productOf([productOf(['H', 2]) ?? '', productOf(['W', 3]) ?? ''])).toBe(productOf([6, 'W', 'H']))
  })
})

describe('quotients', () => {
  test.each<readonly [ReadonlyArray<Dim>, ReadonlyArray<Dim>, Dim | undefined]>([
    [['N', 116, 28], ['N', 2, 28], 58],
    [['N', 1280, 1, 1], ['N'], 1280],
    [['H', 'W', 6], [3], 'mul(2,H,W)'],
    [['mul(12,N)', 197], [12], 'mul(197,N)'],
    [['?x.0', 4], ['?x.0'], 4],
    [['N'], ['M'], undefined],
    [['N', 'N'], ['N', 'N', 'N'], undefined],
    [[7], [2], undefined],
    [[0, 3], [0], undefined],
    [[0, 3], [3], 0],
  ])('%j by %j', (dims, divisors, expected) => expect(quotientOf(dims, divisors)).toBe(expected))
})

test('what is computed from an unknown element is unknown too', () => {
  const unknown = unknownElement('c', 0)
  expect(isKnownElement(unknown)).toBe(false)
  expect(isKnownElement(productOf([unknown, 2]) ?? 1)).toBe(false)
  expect(isKnownElement('?x.0')).toBe(true)
  expect(isKnownElement(-1)).toBe(true)
})
