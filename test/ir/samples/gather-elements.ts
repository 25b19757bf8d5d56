import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3]), sizes([0, -1, 1, 2], [2, 2])], { attributes: { axis: int(1) } }),
  sample('fewer rows', [input([3, 2]), sizes([2, 0], [1, 2])], { opset: 11 }),
]
