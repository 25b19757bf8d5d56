import { constant, input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('split', [input([2, 12, 3]), sizes([2, 3, 4, 3])], { opset: 7 }),
  sample('merged', [input([2, 3, 4, 2]), sizes([2, 12, 2])]),
  sample('merged to the end', [input([2, 3, 2, 2]), sizes([0, -1])]),
  sample('copied and missing', [input([2, 6, 4]), sizes([0, 2, -1, 4])]),
  sample('copied from elsewhere', [input([4, 2, 2]), sizes([-1, 0, 1, 2])]),
  sample('mixed', [input([4, 6, 2]), sizes([6, 4, 2])]),
  sample('mixed in the middle', [input([3, 4, 6, 2]), sizes([3, 6, 4, 2])]),
  sample('a part of one axis merged with another', [input([2, 3, 8]), sizes([2, 12, 2])]),
  sample('a part of one axis merged with a part of another', [input([4, 6]), sizes([2, 6, 2])]),
  sample('ones', [input([1, 4, 1, 3]), sizes([4, 1, 3, 1])]),
  sample('one copied axis merged', [input([2, 2, 3]), sizes([0, -1, 1])]),
  sample('to a scalar', [input([1, 1]), sizes([])]),
  sample('a size of zero', [input([0, 3]), sizes([3, 0])], { opset: 14, attributes: { allowzero: int(1) } }),
  sample('not copying', [input([2, 3]), sizes([3, 2])], { attributes: { allowzero: int(1) } }),
  sample('known elements', [sizes([2, 3, 4]), sizes([-1])]),
  sample('constant data', [constant([6, 2]), sizes([2, 3, 2])]),
  sample('computed target', [input([2, 3]), input([2], { dtype: 'int64', values: [3, 2] })], { sizedByData: true }),
]
