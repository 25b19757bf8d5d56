import { constant, input, sample, sizes } from '../helpers.ts'

export default [
  sample('widened', [input([3, 1]), sizes([2, 1, 4])], { opset: 8 }),
  sample('as it is', [input([2, 3]), sizes([1])]),
  sample('spelled out', [input([2, 3]), sizes([2, 3])]),
  sample('more rows', [input([1, 3]), sizes([2, 3])]),
  sample('a scalar', [input([]), sizes([2])]),
  sample('computed', [input([1, 3]), input([2], { dtype: 'int64', values: [2, 3] })], { sizedByData: true }),
  sample('a constant', [constant([1, 3]), sizes([2, 1])]),
]
