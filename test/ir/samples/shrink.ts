import { float, input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 21 }),
  sample('a scalar', [input([])], { opset: 21 }),
  sample('opset 9', [input([3, 2])], { opset: 9 }),
  sample('soft', [input([2, 3])], { opset: 21, attributes: { lambd: float(0.7), bias: float(0.7) } }),
  sample('hard', [input([2, 3])], { opset: 21, attributes: { lambd: float(1.2) } }),
  sample('int32', [input([5], { dtype: 'int32', range: [-3, 3] })], {
    attributes: { lambd: float(1), bias: float(1) },
  }),
]
