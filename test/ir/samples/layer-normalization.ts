import { constant, float, input, int, sample } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3, 4]), constant([4]), constant([4])], { opset: 17 }),
  sample('no shift', [input([2, 3, 4]), constant([4])]),
  sample('two axes', [input([2, 3, 4]), constant([3, 4]), constant([3, 4])], {
    attributes: { axis: int(1), epsilon: float(0.1) },
  }),
  sample('statistics', [input([2, 3, 4]), constant([4]), constant([4])], { outputs: 3, attributes: { axis: int(-1) } }),
  sample('a scale for each row', [input([3, 4]), constant([3, 1]), constant([4])]),
  sample('zero scale and constant shift', [
    input([3, 4]),
    constant([4], { values: [0, 0, 0, 0] }),
    constant([1], { values: [2] }),
  ]),
  sample('constant shift', [input([3, 4]), constant([4]), constant([4], { values: [2, 2, 2, 2] })]),
]
