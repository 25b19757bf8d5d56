import { constant, input, sample } from '../helpers.ts'

export default [
  sample('same shape', [input([2, 3, 4]), input([2, 3, 4])], { opset: 7 }),
  sample('a channel vector', [input([2, 3, 2, 2]), constant([3, 1, 1])]),
  sample('a vector on the left', [constant([4]), input([2, 3, 4])]),
  sample('both widened', [input([3, 1]), input([2, 1, 4])]),
  sample('a scalar', [input([2, 3]), constant([])]),
  sample('one element', [input([2, 3]), input([1, 1, 1])]),
  sample('float64', [input([2, 3], { dtype: 'float64' }), input([3], { dtype: 'float64' })]),
  sample('that changes nothing', [input([2, 3]), constant([3], { values: [1, 1, 1] })]),
  sample('that only widens', [input([1, 3]), constant([2, 3], { values: [1, 1, 1, 1, 1, 1] })]),
  sample('special channels', [input([2, 4, 3]), constant([4, 1], { values: [0, 1, -1, 2] })]),
  sample('float16', [input([2, 3], { dtype: 'float16' }), constant([3], { dtype: 'float16' })]),
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-9, 9] }), input([3], { dtype: 'int32', range: [-9, 9] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-9, 9] }), input([3], { dtype: 'int64', range: [-9, 9] })]),
  sample('int32 that wraps', [
    input([2], { dtype: 'int32', values: [2147483647, -2147483648] }),
    input([2], { dtype: 'int32', values: [2147483647, 65537] }),
  ]),
]
