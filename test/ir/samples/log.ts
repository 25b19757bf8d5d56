import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [0.1, 4] })], { opset: 21 }),
  sample('a scalar', [input([], { range: [0.1, 4] })], { opset: 21 }),
  sample('opset 7', [input([3, 2], { range: [0.1, 4] })], { opset: 7 }),
  sample('float64', [input([5], { dtype: 'float64', range: [0.1, 4] })], { opset: 21 }),
]
