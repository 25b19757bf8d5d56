import { input, sample, sizes } from '../helpers.ts'

export default [
  sample('rows', [input([4, 2]), sizes([1, 3], [2, 1]), input([2, 2])], { opset: 11 }),
  sample('elements', [input([2, 3]), sizes([0, -1, 1, 0], [2, 2]), input([2])]),
]
