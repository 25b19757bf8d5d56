import { input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('elements', [input([2, 3]), sizes([0, 1, 1, -1], [2, 2])], { opset: 11 }),
  sample('rows', [input([2, 3, 2]), sizes([0, 1, 1, 2], [2, 2])]),
  sample('batches', [input([2, 3, 2]), sizes([1, 2], [2, 1])], { opset: 12, attributes: { batch_dims: int(1) } }),
]
