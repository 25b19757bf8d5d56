import { binary } from '../families/elementwise.ts'
import { addSizes } from '../families/size-arithmetic.ts'

/** `a + b` with broadcasting. */
export const Add = binary('Add', [7, Infinity], (a, b) => a + b, {
  wide: (a, b) => a + b,
  affine: (c) => ({ scale: 1, shift: c }),
  neutral: { value: 0, ports: [0, 1] },
  shifts: 'sum',
  content: addSizes,
})
