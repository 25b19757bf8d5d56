import { constant, float, input, int, sample } from '../helpers.ts'

export default [
  sample('the last axis', [input([2, 3, 4]), constant([4])], { opset: 12, attributes: { epsilon: float(1e-6) } }),
  sample('an axis', [input([2, 3, 4]), constant([4])], { attributes: { axis: int(-1) } }),
]
