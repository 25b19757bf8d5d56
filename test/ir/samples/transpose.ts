import { constant, input, ints, sample } from '../helpers.ts'

export default [
  sample('reversed', [input([2, 3, 4])], { opset: 7 }),
  sample('given', [input([2, 3, 4])], { attributes: { perm: ints(1, 2, 0) } }),
  sample('bytes', [input([2, 3], { dtype: 'uint8', range: [0, 255] })]),
  sample('wide', [input([2, 3], { dtype: 'float64' })]),
  sample('a scalar', [input([])]),
  sample('a constant', [constant([2, 3])], { attributes: { perm: ints(1, 0) } }),
]
