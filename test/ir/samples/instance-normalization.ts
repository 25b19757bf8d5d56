import { constant, float, input, sample } from '../helpers.ts'

export default [
  sample('images', [input([2, 3, 3, 2]), constant([3]), constant([3])], { opset: 7 }),
  sample('sequences', [input([2, 4, 5]), constant([4], { values: [0, 1, -1, 2] }), constant([4])], {
    attributes: { epsilon: float(0.1) },
  }),
  sample('computed scale', [input([1, 2, 4]), input([2]), constant([2])]),
]
