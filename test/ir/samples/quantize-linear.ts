import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('uint8', [input([2, 3]), constant([], { values: [0.1] })], { opset: 13 }),
  sample('int8, by channel', [
    input([2, 3]),
    constant([3], { values: [0.1, 0.2, 0.3] }),
    constant([3], { dtype: 'int8', values: [0, 1, 2] }),
  ]),
  sample('int16', [input([2, 3]), constant([], { values: [0.1] })], { attributes: { output_dtype: int(5) } }),
]
