import { input, sample } from '../helpers.ts'
import { integers, weight, zero } from '../quantized.ts'

export default [
  sample('matrices', [integers([3, 4]), weight([4, 5]), zero('uint8', 100), zero('int8', 0)]),
  sample('a batch, by column', [
    integers([2, 3, 4]),
    weight([4, 3], 'uint8'),
    zero('uint8', 7),
    zero('uint8', 128, 3, 200),
  ]),
  sample('no zero points', [integers([2, 4]), weight([4, 3], 'uint8')], { opset: 10 }),
  sample('a computed zero point', [integers([2, 4]), weight([4, 3]), input([], { dtype: 'uint8', range: [0, 255] })]),
  sample('computed operands', [integers([2, 4]), integers([4, 3], 'int8')]),
]
