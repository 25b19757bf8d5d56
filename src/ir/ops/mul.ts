import { binary } from '../families/elementwise.ts'
import { multiplySizes } from '../families/size-arithmetic.ts'

/** `a · b` with broadcasting. Zero absorbs: a channel multiplied by zero is zero, whatever (finite) number it held. */
export const Mul = binary('Mul', [7, Infinity], (a, b) => a * b, {
  wide: (a, b) => a * b,
  integer: Math.imul,
  absorb: (a, b) => (a === 0 || b === 0 ? 0 : undefined),
  affine: (c) => ({ scale: c, shift: 0 }),
  multiplies: true,
  neutral: { value: 1, ports: [0, 1] },
  shifts: [0, 1],
  content: multiplySizes,
})
