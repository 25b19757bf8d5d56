import { int, ints, sample } from '../../helpers.ts'
import { integers, scale, zero } from '../../quantized.ts'

const operands = [integers([2, 3, 5, 4]), scale(0.0213), zero('uint8', 100), scale(0.0177), zero('uint8', 90)] as const

export default [
  sample('images', operands, { attributes: { kernel_shape: ints(2, 2), strides: ints(2, 1) } }),
  sample('padded', [integers([1, 3, 3, 3]), ...operands.slice(1)], {
    attributes: { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1) },
  }),
  sample(
    'padding counts, int8',
    [integers([1, 3, 3, 3], 'int8'), scale(0.0213), zero('int8', -3), scale(0.0177), zero('int8', 9)],
    { attributes: { kernel_shape: ints(3, 3), pads: ints(1, 1, 1, 1), count_include_pad: int(1) } },
  ),
]
