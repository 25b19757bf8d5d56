import { leavesRange } from '../families/half-precision.ts'
import { reduction } from '../families/reduction.ts'
import { productOf } from '../sizes.ts'

/** Product over axes. */
export const ReduceProd = {
  ...reduction('ReduceProd', [1, Infinity], 18, {
    compute: (values) => values.reduce((product, v) => product * v, 1),
    repeated: (c, count) => (count === undefined ? undefined : c ** count),
    ofSizes: productOf,
    wide: (values) => values.reduce((product, v) => product * v, 1n),
  }),
  float32: leavesRange,
}
