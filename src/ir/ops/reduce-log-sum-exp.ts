import { leavesRange } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { exponentials, maximumOf, sumOf } from '../special-functions.ts'

/** Logarithm of the sum of exponentials over axes, `log Σ e^x`. */
export const ReduceLogSumExp = {
  ...reduction('ReduceLogSumExp', [1, 27], 18, {
    compute: (values) => maximumOf(values) + Math.log(sumOf(exponentials(values))),
    repeated: (c, count) => (count === undefined ? undefined : c + Math.log(count)),
  }),
  float32: leavesRange,
}
