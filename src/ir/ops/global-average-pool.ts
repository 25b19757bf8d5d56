import { globalPool } from '../families/pooling.ts'
import { sumOf } from '../special-functions.ts'

/** Mean over all positions of each channel. */
export const GlobalAveragePool = globalPool(
  'GlobalAveragePool',
  [1, Infinity],
  {},
  (values) => sumOf(values) / values.length,
  (c) => c,
)
