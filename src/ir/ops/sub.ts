import { binary } from '../families/elementwise.ts'
import { subtractSizes } from '../families/size-arithmetic.ts'

/** `a - b` with broadcasting. */
export const Sub = binary('Sub', [7, Infinity], (a, b) => a - b, {
  wide: (a, b) => a - b,
  affine: (c, port) => (port === 0 ? { scale: 1, shift: -c } : { scale: -1, shift: c }),
  neutral: { value: 0, ports: [0] },
  shifts: 'sum',
  content: subtractSizes,
})
