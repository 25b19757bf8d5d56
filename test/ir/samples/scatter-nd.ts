import { input, sample, sizes } from '../helpers.ts'

export default [
  sample('rows', [input([4, 2]), sizes([1, 3], [2, 1]), input([2, 2])], { opset: 11 }),
  sample('elements', [input([2, 3]), sizes([0, -1, 1, 0], [2, 2]), input([2])]),
  sample('a slice of an inner axis', [input([2, 4, 3]), sizes([0, 1, 0, 2, 1, 1, 1, 2], [2, 2, 2]), input([2, 2, 3])]),
  sample('rows in another order', [input([5, 3]), sizes([3, -5, 2], [3, 1]), input([3, 3])]),
  sample('everything', [input([2, 3]), sizes([0, 0, 0, 1, 0, 2, 1, 0, 1, 1, 1, 2], [2, 3, 2]), input([2, 3])]),
  sample('a row twice', [input([3, 2]), sizes([1, 1], [2, 1]), input([2, 2])]),
  sample('one element', [input([2, 3]), sizes([0, 1], [1, 1, 2]), input([1, 1])]),
]
