import { reduction } from '../families/reduction.ts'
import { maximumOf } from '../special-functions.ts'

/** Largest element over axes. */
export const ReduceMax = reduction('ReduceMax', [1, Infinity], 18, {
  compute: maximumOf,
  repeated: (c) => c,
  wide: (values) => values.reduce((a, b) => (b > a ? b : a)),
})
