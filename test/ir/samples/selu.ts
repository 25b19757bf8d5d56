import { float, input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 21 }),
  sample('a scalar', [input([])], { opset: 21 }),
  sample('opset 7', [input([3, 2])], { opset: 7 }),
  sample('alpha and gamma', [input([2, 3])], { opset: 21, attributes: { alpha: float(0.3), gamma: float(2) } }),
]
