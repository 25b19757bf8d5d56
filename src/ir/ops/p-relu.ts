import { binary } from '../families/elementwise.ts'

/**
 * `x` from 0, below it `slope · x`; the slope broadcasts to x. A constant that is not negative stays, whatever the slope.
 */
export const PRelu = binary('PRelu', [7, Infinity], (x, slope) => (x < 0 ? slope * x : x), {
  wide: (x, slope) => (x < 0n ? slope * x : x),
  widened: [1],
  absorb: (x) => (x !== undefined && x >= 0 ? x : undefined),
})
