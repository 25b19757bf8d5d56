import { input, sample } from '../helpers.ts'

export default [
  sample('a matrix', [input([2, 3])], { opset: 11, outputs: 3 }),
  sample('images', [input([2, 3, 4, 5], { range: [-1, 5] })], { outputs: 3 }),
  sample('positive numbers', [input([2, 3, 4], { range: [1, 5] })], { outputs: 3 }),
  sample('zeros', [input([2, 3], { values: [0, 0, 0, 0, 0, 0] })], { outputs: 3 }),
]
