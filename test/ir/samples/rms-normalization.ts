import { constant, float, input, int, sample } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3, 4]), constant([4])], { opset: 23 }),
  sample('two axes', [input([2, 3, 4]), constant([3, 4])], {
    opset: 23,
    attributes: { axis: int(-2), epsilon: float(0.1) },
  }),
  sample('constant scale', [input([3, 4]), constant([4], { values: [2, 2, 2, 2] })], { opset: 23 }),
]
