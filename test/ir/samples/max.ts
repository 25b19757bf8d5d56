import { constant, input, sample } from '../helpers.ts'

export default [
  sample('three', [input([2, 3, 4]), input([3, 1]), constant([4])], { opset: 8 }),
  sample('two of one shape', [input([2, 3]), input([2, 3])], { opset: 7 }),
  sample('one', [input([2, 3])]),
  sample('float64', [input([2, 3], { dtype: 'float64' }), constant([1], { dtype: 'float64' })]),
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-9, 9] }), input([3], { dtype: 'int32', range: [-9, 9] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-9, 9] }), input([3], { dtype: 'int64', range: [-9, 9] })]),
]
