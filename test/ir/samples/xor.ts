import { constant, input, sample } from '../helpers.ts'

export default [
  sample('broadcast', [input([2, 3], { dtype: 'bool' }), input([2, 1], { dtype: 'bool' })], { opset: 7 }),
  sample('all pairs', [
    input([4], { dtype: 'bool', values: [0, 0, 1, 1] }),
    constant([4], { dtype: 'bool', values: [0, 1, 0, 1] }),
  ]),
]
