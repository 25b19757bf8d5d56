import { sample } from '../../helpers.ts'
import { integers, scale, zero } from '../../quantized.ts'

export default [
  sample('uint8', [integers([2, 3, 4]), scale(0.0213), zero('uint8', 100), scale(0.0043), zero('uint8', 0)]),
  sample('int8', [integers([2, 3], 'int8'), scale(0.0213), zero('int8', 3), scale(0.0037), zero('int8', -128)]),
]
