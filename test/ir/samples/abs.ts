import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 21 }),
  sample('a scalar', [input([])], { opset: 21 }),
  sample('opset 7', [input([3, 2])], { opset: 7 }),
  sample('float64', [input([5], { dtype: 'float64' })], { opset: 21 }),
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-5, 5] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-5, 5] })]),
]
