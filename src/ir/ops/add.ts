import { binary } from '../families/elementwise.ts'

export const Add = binary('Add', [7, Infinity], (a, b) => a + b, {
  wide: (a, b) => a + b,
  neutral: { value: 0, ports: [0, 1] },
})
