import { int64s, tensorOf } from '../../../src/ir/tensor.ts'
import { float, floats, int, ints, sample, text, texts } from '../helpers.ts'

export default [
  sample('a tensor', [], {
    attributes: { value: { kind: 'tensor', value: tensorOf('float32', [2, 2], [1, -2, 3, 4]) } },
  }),
  sample('sizes', [], { attributes: { value: { kind: 'tensor', value: int64s([2, -1, 3]) } } }),
  sample('a float', [], { opset: 12, attributes: { value_float: float(0.1) } }),
  sample('floats', [], { opset: 12, attributes: { value_floats: floats(0.1, 2) } }),
  sample('an integer', [], { opset: 12, attributes: { value_int: int(-3) } }),
  sample('integers', [], { opset: 12, attributes: { value_ints: ints(4, 5, 6) } }),
  // A slice "to the end", as PyTorch's exporter writes it.
  sample('the largest integer', [], {
    opset: 12,
    attributes: { value_ints: { kind: 'ints', value: [2n ** 63n - 1n, -(2n ** 63n)] } },
  }),
  sample('a string', [], { opset: 12, attributes: { value_string: text('grün') } }),
  sample('strings', [], { opset: 12, attributes: { value_strings: texts('a', '') } }),
]
