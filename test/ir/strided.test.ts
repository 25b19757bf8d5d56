/** Transposed copies of constants are those by definition, over several tiles and wherever the bytes lie. */
import { expect, test } from 'vitest'
import { strided } from '../../src/ir/families/movement.ts'
import { dense, elements, tensorOf } from '../../src/ir/tensor.ts'

const shapes = [
  [1, 1],
  [31, 33],
  [64, 32],
  [2, 70, 45],
  [3, 1, 97],
]

test.each(shapes)('of %s', (...shape) => {
  const size = shape.reduce((n, d) => n * d, 1)
  const [rows = 1, columns = 1] = shape.slice(-2)
  const outer = shape.slice(0, -2)
  const values = Float32Array.from({ length: size }, (_, i) => i)
  const bytes = new Uint8Array(4 * size + 1)
  bytes.set(new Uint8Array(values.buffer), 1)
  const expected = Array.from({ length: size }, (_, at) => {
    const [block, place] = [Math.floor(at / (rows * columns)), at % (rows * columns)]
    return block * rows * columns + (place % rows) * columns + Math.floor(place / rows)
  })
  for (const x of [tensorOf('float32', shape, values), dense('float32', shape, bytes.subarray(1))]) {
    const made = strided(x, [...outer, columns, rows], [...outer.map(() => rows * columns), 1, columns])
    expect(made && [...elements(made)]).toEqual(expected)
  }
})
