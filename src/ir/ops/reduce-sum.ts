import { leavesRange } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { sumOf } from '../special-functions.ts'

/** Sum over axes. */
export const ReduceSum = {
  ...reduction('ReduceSum', [1, Infinity], 13, {
    compute: sumOf,
    repeated: (c, count) => (c === 0 ? 0 : count === undefined ? undefined : c * count),
    term: (c) => c,
    wide: (values) => values.reduce((sum, v) => sum + v, 0n),
  }),
  float32: leavesRange,
}
