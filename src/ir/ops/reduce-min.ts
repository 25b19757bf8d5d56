import { reduction } from '../families/reduction.ts'
import { minimumOf } from '../special-functions.ts'

/** Smallest element over axes. */
export const ReduceMin = reduction('ReduceMin', [1, Infinity], 18, {
  compute: minimumOf,
  repeated: (c) => c,
  wide: (values) => values.reduce((a, b) => (b < a ? b : a)),
})
