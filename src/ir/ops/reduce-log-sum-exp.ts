import { reduction } from '../families/reduction.ts'
import { maximumOf, sumOf } from '../special-functions.ts'

/** Logarithm of the sum of exponentials over axes, `log Σ e^x`. */
export const ReduceLogSumExp = reduction('ReduceLogSumExp', [1, 27], 18, {
  compute: (values) => {
    const largest = maximumOf(values)
    return largest + Math.log(sumOf(values.map((v) => Math.exp(v - largest))))
  },
  repeated: (c, count) => (count === undefined ? undefined : c + Math.log(count)),
})
