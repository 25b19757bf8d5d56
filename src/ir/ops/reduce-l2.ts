import { sumsSquares } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { norm, normOfEqual } from '../special-functions.ts'

/** Euclidean norm over axes, `√Σ x²`. */
export const ReduceL2 = {
  ...reduction('ReduceL2', [1, Infinity], 18, {
    compute: (values) => norm(values, 2),
    repeated: (c, count, precision) =>
      c === 0 ? 0 : count === undefined ? undefined : normOfEqual(c, count, 2, precision),
    term: (c) => (c === 0 ? 0 : undefined),
  }),
  squares: true,
  float32: sumsSquares,
}
