import { int, sample } from '../../helpers.ts'
import { integers, scale, zero } from '../../quantized.ts'

export default [
  sample('images', [integers([2, 3, 4, 5]), scale(0.0213), zero('uint8', 100), scale(0.0161), zero('uint8', 20)]),
  sample(
    'channels last',
    [integers([2, 4, 5, 3]), scale(0.0213), zero('uint8', 100), scale(0.0161), zero('uint8', 20)],
    {
      attributes: { channels_last: int(1) },
    },
  ),
]
