import { constant, input, sample } from '../../helpers.ts'
import { integers, scale, weight, zero } from '../../quantized.ts'

export default [
  sample('a matrix', [integers([3, 4]), weight([4, 5]), scale(0.5), scale(0.02)]),
  sample('by column, a bias', [
    integers([2, 3, 4]),
    weight([4, 3], 'uint8'),
    input([], { range: [0.01, 1] }),
    scale(0.02, 0.05, 0.01),
    zero('uint8', 100),
    zero('uint8', 120, 3, 200),
    constant([3]),
  ]),
  sample('a zero on the left alone', [integers([3, 4]), weight([4, 5]), scale(0.5), scale(0.02), zero('uint8', 9)]),
]
