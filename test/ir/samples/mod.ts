import { constant, input, int, sample } from '../helpers.ts'

const floats = [input([2, 3]), input([3], { range: [0.5, 2] })]
const integers = [
  input([8], { dtype: 'int32', values: [7, -7, 7, -7, 6, -6, 1, 0] }),
  constant([8], { dtype: 'int32', values: [3, 3, -3, -3, 3, 3, 5, 2] }),
]

export default [
  sample('floats', floats, { attributes: { fmod: int(1) } }),
  sample('sign of the divisor', integers),
  sample('sign of the dividend', integers, { attributes: { fmod: int(1) } }),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-9, 9] }), input([3], { dtype: 'int64', range: [1, 4] })], {
    opset: 10,
  }),
]
