import { reduction } from '../families/reduction.ts'
import { norm } from '../special-functions.ts'

/** Euclidean norm over axes, `√Σ x²`. */
export const ReduceL2 = reduction('ReduceL2', [1, Infinity], 18, {
  compute: (values) => norm(values, 2),
  repeated: (c, count) => (c === 0 ? 0 : count === undefined ? undefined : Math.abs(c) * Math.sqrt(count)),
})
