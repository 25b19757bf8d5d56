import { constant, sample } from '../../helpers.ts'
import { integers, scale, weight, zero } from '../../quantized.ts'

const condition = (shape: ReadonlyArray<number>, values: ReadonlyArray<number>) =>
  constant(shape, { dtype: 'bool', values })

export default [
  sample('channels', [
    condition([3, 1], [1, 0, 1]),
    integers([2, 3, 4]),
    scale(0.0213),
    zero('uint8', 100),
    integers([2, 3, 4]),
    scale(0.0177),
    zero('uint8', 7),
    scale(0.0391),
    zero('uint8', 90),
  ]),
  sample('a constant, int8', [
    condition([4], [1, 0, 0, 1]),
    integers([2, 3, 4], 'int8'),
    scale(0.0213),
    zero('int8', -3),
    weight([3, 1]),
    scale(0.0177),
    zero('int8', 5),
    scale(0.0391),
    zero('int8', 9),
  ]),
]
