import { sumsSquares } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { sumOf } from '../special-functions.ts'

/** Sum of squares over axes, `Σ x²`. */
export const ReduceSumSquare = {
  ...reduction('ReduceSumSquare', [1, Infinity], 18, {
    compute: (values) => sumOf(values.map((v) => v * v)),
    repeated: (c, count) => (c === 0 ? 0 : count === undefined ? undefined : c * c * count),
    term: (c) => c * c,
  }),
  float32: sumsSquares,
}
