import { input, sample } from '../helpers.ts'

export default [
  sample('to float16', [input([3, 2]), input([1], { dtype: 'float16' })], { opset: 15 }),
  sample('to int32', [input([3, 2]), input([2, 2], { dtype: 'int32', range: [0, 3] })]),
]
