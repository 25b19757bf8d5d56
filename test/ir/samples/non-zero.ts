import { constant, sample } from '../helpers.ts'

export default [
  sample('a matrix', [constant([2, 3], { values: [1, 0, -2, 0, 0, 0.5] })], { opset: 9, sizedByData: true }),
  sample('bools', [constant([3], { dtype: 'bool', values: [1, 0, 1] })], { sizedByData: true }),
]
