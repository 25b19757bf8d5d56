import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [-5, 5] })], { opset: 21 }),
  sample('a scalar', [input([], { range: [-5, 5] })], { opset: 21 }),
  sample('opset 18', [input([3, 2], { range: [-5, 5] })], { opset: 18 }),
]
