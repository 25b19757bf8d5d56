import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3]), sizes([1, 2], [2, 1]), input([2, 1])], { attributes: { axis: int(-1) } }),
  sample('first axis', [input([3, 2]), sizes([2, 0], [1, 2]), input([1, 2])], { opset: 11 }),
]
