import { binary } from '../families/elementwise.ts'
import { divideSizes } from '../families/size-arithmetic.ts'

/** `a / b` with broadcasting; integers truncate towards zero. Zero divided by any number that has a quotient is zero. */
export const Div = binary('Div', [7, Infinity], (a, b) => a / b, {
  wide: (a, b) => a / b,
  integer: (a, b) => Math.trunc(a / b),
  divides: true,
  absorb: (a) => (a === 0 ? 0 : undefined),
  affine: (c, port) => (port === 0 ? { scale: 1 / c, shift: 0 } : undefined),
  multiplies: true,
  neutral: { value: 1, ports: [0] },
  shifts: [0],
  content: divideSizes,
})
