import { unary } from '../families/elementwise.ts'

export const Relu = unary('Relu', [6, Infinity], (x) => (x < 0 ? 0 : x))
