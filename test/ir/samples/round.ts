import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 21 }),
  sample('a scalar', [input([])], { opset: 21 }),
  sample('opset 11', [input([3, 2])], { opset: 11 }),
  sample('float64', [input([5], { dtype: 'float64' })], { opset: 21 }),
  sample('halves', [input([7], { values: [-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 3.2] })]),
]
