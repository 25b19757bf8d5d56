import { input, int, sample } from '../helpers.ts'

export default [
  sample('last axis', [input([2, 3, 4])], { opset: 7 }),
  sample('channels', [input([2, 3, 4])], { attributes: { axis: int(1), p: int(1) } }),
  sample('zeros', [input([2, 3], { values: [0, 0, 0, 1, 2, 3] })], { opset: 22 }),
]
