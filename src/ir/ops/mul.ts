import { binary } from '../families/elementwise.ts'

/** Zero absorbs: a channel multiplied by zero is zero, whatever (finite) number it held. */
export const Mul = binary('Mul', [7, Infinity], (a, b) => a * b, {
  wide: (a, b) => a * b,
  absorb: (known) => (known === 0 ? 0 : undefined),
  neutral: { value: 1, ports: [0, 1] },
})
