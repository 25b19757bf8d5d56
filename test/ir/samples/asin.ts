import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [-1, 1] })], { opset: 21 }),
  sample('a scalar', [input([], { range: [-1, 1] })], { opset: 21 }),
  sample('opset 7', [input([3, 2], { range: [-1, 1] })], { opset: 7 }),
]
