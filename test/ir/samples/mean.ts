import { constant, input, sample } from '../helpers.ts'

export default [
  sample('three', [input([2, 3, 4]), input([3, 1]), constant([4])], { opset: 8 }),
  sample('two of one shape', [input([2, 3]), input([2, 3])], { opset: 7 }),
  sample('one', [input([2, 3])]),
  sample('float64', [input([2, 3], { dtype: 'float64' }), constant([1], { dtype: 'float64' })], {
    noRuntime: 'no kernel for float64',
  }),
]
