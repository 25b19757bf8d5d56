import { unary } from '../families/elementwise.ts'

/** `x · max(0, min(1, x / 6 + 1/2))`. */
export const HardSwish = unary('HardSwish', [14, Infinity], (x) => x * Math.max(0, Math.min(1, x / 6 + 0.5)))
