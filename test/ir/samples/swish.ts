import { float, input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [-5, 5] })], { opset: 24 }),
  sample('a scalar', [input([], { range: [-5, 5] })], { opset: 24 }),
  sample('alpha', [input([2, 3], { range: [-5, 5] })], { opset: 24, attributes: { alpha: float(1.5) } }),
]
