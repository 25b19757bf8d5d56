import { input, int, ints, sample } from '../helpers.ts'
import { integers, weight, zero } from '../quantized.ts'

export default [
  sample('padded', [integers([2, 3, 5, 4]), weight([4, 3, 3, 3], 'uint8'), zero('uint8', 100), zero('uint8', 128)], {
    attributes: { pads: ints(1, 1, 1, 1) },
  }),
  sample('no zero points', [integers([1, 3, 4, 4]), weight([2, 3, 1, 1], 'uint8')], { opset: 10 }),
  sample('depthwise', [integers([1, 4, 3, 3]), weight([4, 1, 3, 3], 'uint8'), zero('uint8', 3)], {
    attributes: { group: int(4), pads: ints(1, 1, 1, 1) },
  }),
  sample('a computed zero point', [
    integers([1, 3, 4, 4]),
    weight([2, 3, 3, 3], 'uint8'),
    input([], { dtype: 'uint8', range: [0, 255] }),
    zero('uint8', 7),
  ]),
]
