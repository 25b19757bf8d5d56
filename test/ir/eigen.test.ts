import { describe, expect, it } from 'vitest'
import { eigenvectors, product, transposed } from '../../src/ir/eigen.ts'
import { normals, uniforms } from '../inflate.ts'

const gram = (rows: number, n: number, seed: number, scale = 1): Float64Array => {
  const normal = normals(uniforms(seed))
  const a = Float64Array.from({ length: rows * n }, () => scale * normal())
  return product(transposed(a, rows, n), a, [n, rows, n])
}

const worst = (values: Float64Array): number => values.reduce((most, x) => Math.max(most, Math.abs(x)), 0)

const identity = (n: number): Float64Array =>
  Float64Array.from({ length: n * n }, (_, i) => (i % (n + 1) === 0 ? 1 : 0))

const cases: ReadonlyArray<readonly [name: string, n: number, matrix: Float64Array]> = [
  ['of nothing', 0, new Float64Array(0)],
  ['of one number', 1, Float64Array.of(3)],
  ['of zeros', 4, new Float64Array(16)],
  ['of equal eigenvalues', 5, identity(5)],
  ['of full rank', 12, gram(40, 12, 1)],
  ['of low rank', 12, gram(5, 12, 2)],
  ['of huge numbers', 8, gram(20, 8, 3, 1e120)],
  ['of tiny numbers', 8, gram(20, 8, 4, 1e-140)],
  ['of a wide range', 6, gram(30, 6, 5).map((x, i) => x * 10 ** (-3 * (Math.floor(i / 6) + (i % 6))))],
]

describe('eigenvectors', () => {
  it.each(cases)('%s are orthogonal, diagonalise, and come with the largest eigenvalues first', (_, n, matrix) => {
    const { vectors, values } = eigenvectors(matrix, n)
    const grams = product(vectors, transposed(vectors, n, n), [n, n, n])
    expect(worst(grams.map((x, i) => x - (identity(n)[i] ?? 0)))).toBeLessThan(1e-12)
    const turned = product(product(vectors, matrix, [n, n, n]), transposed(vectors, n, n), [n, n, n])
    const expected = new Float64Array(n * n)
    for (let i = 0; i < n; i++) expected[i * n + i] = values[i] ?? NaN
    const size = Math.max(worst(matrix), Number.MIN_VALUE)
    expect(worst(turned.map((x, i) => (x - (expected[i] ?? NaN)) / size))).toBeLessThan(1e-11)
    expect([...values]).toEqual([...values].sort((a, b) => b - a))
    expect(values.every((x) => x >= 0)).toBe(true)
  })

  it('are those that are known: [[2, 1], [1, 2]] has (1, 1) to 3 and (1, -1) to 1', () => {
    const { vectors, values } = eigenvectors(Float64Array.of(2, 1, 1, 2), 2)
    expect(values[0]).toBeCloseTo(3, 14)
    expect(values[1]).toBeCloseTo(1, 14)
    expect((vectors[0] ?? 0) / (vectors[1] ?? 0)).toBeCloseTo(1, 14)
    expect((vectors[2] ?? 0) / (vectors[3] ?? 0)).toBeCloseTo(-1, 14)
  })
})

it('a product is that of its rows and columns', () => {
  expect([...product(Float64Array.of(1, 2, 3, 4, 5, 6), Float64Array.of(1, 0, 0, 1, 1, 1), [2, 3, 2])]).toEqual([
    4, 5, 10, 11,
  ])
  expect([...transposed(Float64Array.of(1, 2, 3, 4, 5, 6), 2, 3)]).toEqual([1, 4, 2, 5, 3, 6])
})
