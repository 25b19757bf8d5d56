import { constant, float, input, int, sample } from '../helpers.ts'

export default [
  sample('two groups', [input([2, 4, 3]), constant([4]), constant([4])], { attributes: { num_groups: int(2) } }),
  sample('one group', [input([1, 3, 2, 2]), constant([3]), constant([3])], {
    attributes: { num_groups: int(1), epsilon: float(0.1) },
  }),
  sample('constant shift', [input([2, 2, 3]), constant([2]), constant([2], { values: [3, 3] })], {
    attributes: { num_groups: int(2) },
  }),
]
