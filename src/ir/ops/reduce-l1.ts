import { leavesRange } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { norm } from '../special-functions.ts'

/** Sum of absolute values over axes, `Σ |x|`. */
export const ReduceL1 = {
  ...reduction('ReduceL1', [1, Infinity], 18, {
    compute: (values) => norm(values, 1),
    repeated: (c, count) => (c === 0 ? 0 : count === undefined ? undefined : Math.abs(c) * count),
    term: Math.abs,
  }),
  float32: leavesRange,
}
