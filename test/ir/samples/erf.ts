import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4], { range: [-4, 4] })], { opset: 21 }),
  sample('a scalar', [input([], { range: [-4, 4] })], { opset: 21 }),
  sample('opset 9', [input([3, 2], { range: [-4, 4] })], { opset: 9 }),
]
