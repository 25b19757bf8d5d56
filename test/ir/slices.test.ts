/** Classes of equal slices, of so many large ones that they are not compared at once. */
import { expect, test } from 'vitest'
import { sliceClasses } from '../../src/ir/slices.ts'
import { tensorOf } from '../../src/ir/tensor.ts'

const [count, length] = [24, 2 ** 18]

/** What an element of a slice is; most slices are zero, one of them but for an element, two but for the sign. */
const valueAt = (slice: number, k: number): number => {
  if (slice === 3) return k === length - 1 ? 1 : 0
  if (slice === 5 || slice === 7) return -0
  if (slice === 9 || slice === 11) return k + 1
  return 0
}

/** First equal slices: those of zeros, of negative zeros, and of numbers each have one. */
const expected = Array.from({ length: count }, (_, i) =>
  i === 3 ? 3 : i === 5 || i === 7 ? 5 : i === 9 || i === 11 ? 9 : 0,
)

test('rows', () => {
  const values = Float32Array.from({ length: count * length }, (_, at) => valueAt(Math.floor(at / length), at % length))
  expect([...(sliceClasses(tensorOf('float32', [count, length], values), 0) ?? [])]).toEqual(expected)
})

test('columns', () => {
  const values = Float32Array.from({ length: count * length }, (_, at) => valueAt(at % count, Math.floor(at / count)))
  expect([...(sliceClasses(tensorOf('float32', [length, count], values), 1) ?? [])]).toEqual(expected)
})
