import { constant, input, sample } from '../helpers.ts'

export default [
  sample('same shape', [input([2, 3, 4], { range: [0.5, 3] }), input([2, 3, 4], { range: [0.5, 3] })], { opset: 7 }),
  sample('a channel vector', [input([2, 3, 2, 2], { range: [0.5, 3] }), constant([3, 1, 1], { range: [0.5, 3] })]),
  sample('a vector on the left', [constant([4], { range: [0.5, 3] }), input([2, 3, 4], { range: [0.5, 3] })]),
  sample('both widened', [input([3, 1], { range: [0.5, 3] }), input([2, 1, 4], { range: [0.5, 3] })]),
  sample('a scalar', [input([2, 3], { range: [0.5, 3] }), constant([], { range: [0.5, 3] })]),
  sample('one element', [input([2, 3], { range: [0.5, 3] }), input([1, 1, 1], { range: [0.5, 3] })]),
  sample('float64', [
    input([2, 3], { range: [0.5, 3], dtype: 'float64' }),
    input([3], { range: [0.5, 3], dtype: 'float64' }),
  ]),
  sample('that changes nothing', [input([2, 3]), constant([3], { values: [1, 1, 1] })]),
  sample('that only widens', [input([1, 3]), constant([2, 3], { values: [1, 1, 1, 1, 1, 1] })]),
  sample('squared', [input([2, 3]), constant([], { values: [2] })], { opset: 12 }),
  sample('an integer exponent', [input([2, 3]), constant([], { dtype: 'int64', values: [3] })]),
  sample('exponents for channels', [input([2, 4], { range: [0.5, 2] }), constant([4], { values: [0, 1, 2, 0.5] })]),
  sample('integers', [
    input([2, 3], { dtype: 'int32', range: [1, 5] }),
    constant([3], { dtype: 'int32', values: [0, 1, 3] }),
  ]),
]
