import { constant, input, int, sample, sizes } from '../helpers.ts'

const opset = 23

export default [
  sample('heads apart', [input([2, 3, 2, 4]), constant([5, 2]), constant([5, 2]), sizes([0, 3, 4, 1], [2, 2])], {
    opset,
  }),
  sample('heads side by side', [input([1, 2, 12]), constant([5, 2]), constant([5, 2]), sizes([2, 4], [1, 2])], {
    opset,
    attributes: { num_heads: int(3) },
  }),
  sample('neighbours', [input([1, 2, 2, 6]), constant([5, 3]), constant([5, 3]), sizes([2, 4], [1, 2])], {
    opset,
    attributes: { interleaved: int(1) },
  }),
  sample('a table for each place', [input([2, 2, 3, 4]), input([2, 3, 2]), input([2, 3, 2])], { opset }),
]
