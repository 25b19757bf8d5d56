import { sample } from '../helpers.ts'
import { integers, scale, weight, zero } from '../quantized.ts'

export default [
  sample('matrices', [
    integers([3, 4]),
    scale(0.02),
    zero('uint8', 100),
    weight([4, 5]),
    scale(0.01),
    zero('int8', 0),
    scale(0.05),
    zero('uint8', 90),
  ]),
  sample('a batch, by column', [
    integers([2, 3, 4]),
    scale(0.02),
    zero('uint8', 7),
    weight([4, 3]),
    scale(0.01, 0.02, 0.003),
    zero('int8', 0, 0, 0),
    scale(0.03),
    zero('uint8', 128),
  ]),
  sample(
    'computed operands',
    [
      integers([2, 4]),
      scale(0.02),
      zero('uint8', 7),
      integers([4, 3]),
      scale(0.01),
      zero('uint8', 5),
      scale(0.03),
      zero('uint8', 128),
    ],
    { opset: 10 },
  ),
]
