import { int, sample } from '../../helpers.ts'
import { integers, scale, zero } from '../../quantized.ts'

export default [
  sample(
    'channels',
    [
      scale(0.0391),
      zero('uint8', 90),
      integers([2, 3, 4]),
      scale(0.0213),
      zero('uint8', 100),
      integers([2, 2, 4]),
      scale(0.0391),
      zero('uint8', 90),
    ],
    { attributes: { axis: int(1) } },
  ),
  sample(
    'the last axis, int8',
    [
      scale(0.0391),
      zero('int8', 9),
      integers([2, 3], 'int8'),
      scale(0.0213),
      zero('int8', -3),
      integers([2, 1], 'int8'),
      scale(0.0177),
      zero('int8', 5),
      integers([2, 2], 'int8'),
      scale(0.0177),
      zero('int8', 5),
    ],
    { attributes: { axis: int(-1) } },
  ),
]
