import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3, 4])], { opset: 21 }),
  sample('a scalar', [input([])], { opset: 21 }),
  sample('opset 7', [input([3, 2])], { opset: 7 }),
]
