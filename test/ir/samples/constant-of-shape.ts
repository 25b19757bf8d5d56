import { int64s, tensorOf } from '../../../src/ir/tensor.ts'
import { sample, sizes } from '../helpers.ts'

export default [
  sample('zeros', [sizes([2, 3])], { opset: 9 }),
  sample('sevens', [sizes([2, 1, 2])], {
    attributes: { value: { kind: 'tensor', value: tensorOf('int32', [1], [7]) } },
  }),
  sample('a half', [sizes([4])], { attributes: { value: { kind: 'tensor', value: tensorOf('float32', [1], [0.5]) } } }),
  sample('known elements', [sizes([3])], { attributes: { value: { kind: 'tensor', value: int64s([1]) } } }),
  sample('a scalar', [sizes([])]),
]
