import { float, input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [-5, 5] })], { opset: 21 }),
  sample('a scalar', [input([], { range: [-5, 5] })], { opset: 21 }),
  sample('opset 7', [input([3, 2], { range: [-5, 5] })], { opset: 7 }),
  sample('alpha and beta', [input([2, 3], { range: [-5, 5] })], {
    opset: 21,
    attributes: { alpha: float(0.3), beta: float(0.2) },
  }),
]
