import { input, sample } from '../helpers.ts'

export default [
  sample('float32', [input([2, 3])], { opset: 7 }),
  sample('int64', [input([4], { dtype: 'int64', range: [-5, 5] })], { opset: 13 }),
]
