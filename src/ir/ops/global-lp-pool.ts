import { int } from '../attributes.ts'
import { sumsSquares } from '../families/half-precision.ts'
import { globalPool } from '../families/pooling.ts'
import { norm, normOfEqual } from '../special-functions.ts'

/** `(Σ |x|^p)^(1/p)` over all positions of each channel. */
export const GlobalLpPool = {
  ...globalPool(
    'GlobalLpPool',
    [2, Infinity],
    { p: int(2) },
    (values, { p }) => norm(values, p),
    (c, count, { p }, precision) =>
      c === 0 ? 0 : count === undefined ? undefined : normOfEqual(c, count, p, precision),
  ),
  squares: true,
  float32: sumsSquares,
}
