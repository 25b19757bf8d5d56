import { constant, float, input, sample } from '../../helpers.ts'

export default [
  sample('with a bias', [input([2, 3, 4]), input([2, 3, 4]), constant([4]), constant([4])], {
    attributes: { epsilon: float(1e-6) },
  }),
  sample('without', [input([2, 3, 4]), input([2, 3, 4]), constant([4])]),
]
