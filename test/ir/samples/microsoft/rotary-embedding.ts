import { constant, input, int, sample, sizes } from '../../helpers.ts'

export default [
  sample('heads apart', [input([2, 3, 2, 4]), sizes([0, 3, 4, 1], [2, 2]), constant([5, 2]), constant([5, 2])]),
  sample('heads side by side', [input([1, 2, 12]), sizes([2]), constant([5, 2]), constant([5, 2])]),
  sample('neighbours, heads told', [input([1, 2, 12]), sizes([2, 4], [1, 2]), constant([5, 3]), constant([5, 3])], {
    attributes: { interleaved: int(1), num_heads: int(2) },
  }),
]
