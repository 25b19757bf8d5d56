import { constant, input, sample } from '../helpers.ts'

export default [
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-9, 9] }), input([3], { dtype: 'int32', range: [-9, 9] })]),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-9, 9] }), input([3], { dtype: 'int64', range: [-9, 9] })]),
  sample('uint8', [
    input([5], { dtype: 'uint8', range: [0, 255] }),
    constant([5], { dtype: 'uint8', range: [0, 255] }),
  ]),
]
