import { leavesRange } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { sumOf } from '../special-functions.ts'

/** Logarithm of the sum over axes, `log Σ x`. */
export const ReduceLogSum = {
  ...reduction('ReduceLogSum', [1, 27], 18, {
    compute: (values) => Math.log(sumOf(values)),
    repeated: (c, count) => (count === undefined ? undefined : Math.log(c * count)),
    term: (c) => (c === 0 ? 0 : undefined),
  }),
  float32: leavesRange,
}
