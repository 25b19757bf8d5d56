import { int, sample } from '../../helpers.ts'
import { integers, scale, weight, zero } from '../../quantized.ts'

export default [
  sample(
    'transposed, by column',
    [
      integers([3, 4]),
      scale(0.02),
      zero('uint8', 100),
      weight([5, 4]),
      scale(0.01, 0.02, 0.003, 0.01, 0.02),
      zero('int8', 0, 0, 0, 0, 0),
      weight([5], 'int32'),
      scale(0.05),
      zero('uint8', 90),
    ],
    { attributes: { transB: int(1) } },
  ),
  sample('no bias', [
    integers([3, 4]),
    scale(0.02),
    zero('uint8', 100),
    weight([4, 5], 'uint8'),
    scale(0.01),
    zero('uint8', 128),
    undefined,
    scale(0.05),
    zero('uint8', 90),
  ]),
  ...[[5], [1, 5], [1], [], [5, 1], [5, 5]].map((shape) =>
    sample(`adds [${shape.join()}]`, [
      integers([5, 4]),
      scale(0.02),
      zero('uint8', 100),
      weight([4, 5]),
      scale(0.01),
      zero('int8', 0),
      weight(shape, 'int32'),
      scale(0.05),
      zero('uint8', 90),
    ]),
  ),
]
