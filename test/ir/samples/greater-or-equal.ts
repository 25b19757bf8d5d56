import { constant, input, sample } from '../helpers.ts'

export default [
  sample('floats', [input([2, 3, 4]), input([3, 1])], { opset: 13 }),
  sample('ties', [input([2, 3], { dtype: 'int32', range: [0, 2] }), constant([3], { dtype: 'int32', range: [0, 2] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [0, 2] }), input([], { dtype: 'int64', values: [1] })]),
]
