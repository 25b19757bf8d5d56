import { constant, input, sample } from '../../helpers.ts'
import { scale, weight, zero } from '../../quantized.ts'

export default [
  sample('a matrix', [input([3, 4]), weight([4, 5]), scale(0.02)]),
  sample('by column, a bias', [
    input([2, 3, 4]),
    weight([4, 3], 'uint8'),
    scale(0.02, 0.05, 0.01),
    zero('uint8', 120, 3, 200),
    constant([3]),
  ]),
  sample('a bias alone', [input([3, 4]), weight([4, 5]), scale(0.02), undefined, constant([5])]),
]
