import { constant, float, input, sample } from '../../helpers.ts'

export default [
  sample('all of it', [input([2, 3, 4]), input([2, 3, 4]), constant([4]), constant([4]), constant([4])], {
    attributes: { epsilon: float(1e-5) },
  }),
  sample('no bias', [input([2, 3, 4]), input([2, 3, 4]), constant([4]), constant([4])]),
  sample('no shift', [input([3, 4]), input([3, 4]), constant([4])]),
  sample('a skip for each place', [input([2, 3, 4]), input([3, 4]), constant([4]), constant([4])]),
]
