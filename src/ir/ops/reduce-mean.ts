import { reduction } from '../families/reduction.ts'
import { sumOf } from '../special-functions.ts'

/** Mean over axes. */
export const ReduceMean = reduction('ReduceMean', [1, Infinity], 18, {
  compute: (values) => sumOf(values) / values.length,
  repeated: (c) => c,
  term: (c) => c,
  isMean: true,
})
