import { constant, input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('permuted', [input([2, 4, 2]), sizes([2, 0, 3, 1])], { opset: 7, attributes: { axis: int(1) } }),
  sample('repeated', [input([4, 2]), sizes([1, 1, 3, 0, 1])]),
  sample('some, from the end', [input([2, 5]), sizes([-1, 0, -3])], { opset: 11, attributes: { axis: int(-1) } }),
  sample('one', [input([2, 3, 4]), sizes([1], [])], { attributes: { axis: int(1) } }),
  sample('a matrix', [input([5, 3]), sizes([4, 0, 1, 2], [2, 2])]),
  sample('computed', [input([5, 3, 2]), input([2, 2], { dtype: 'int64', range: [-5, 4] })]),
  sample('an embedding', [constant([5, 4]), input([2, 3], { dtype: 'int64', range: [0, 4] })]),
  sample('int32 indices', [input([3, 2]), constant([2], { dtype: 'int32', values: [2, 0] })]),
  sample('in order', [input([3, 2]), sizes([0, 1, 2])]),
  sample('a known element', [sizes([3, 4, 5]), sizes([-1], [])]),
  sample('known elements', [sizes([3, 4, 5]), sizes([2, 0])]),
]
