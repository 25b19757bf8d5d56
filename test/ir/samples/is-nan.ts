import { input, sample } from '../helpers.ts'

export default [
  sample('some', [input([2, 2], { values: [1, NaN, -0, Infinity] })], { opset: 13 }),
  sample('float64', [input([2], { dtype: 'float64', values: [NaN, 0] })], { opset: 20 }),
]
