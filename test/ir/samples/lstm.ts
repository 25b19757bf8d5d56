import { constant, input, int, sample, text } from '../helpers.ts'

export default [
  sample('forward', [input([5, 2, 3]), constant([1, 16, 3]), constant([1, 16, 4])], {
    opset: 7,
    outputs: 3,
    attributes: { hidden_size: int(4) },
  }),
  sample('bidirectional', [input([5, 2, 3]), constant([2, 16, 3]), constant([2, 16, 4]), constant([2, 32])], {
    outputs: 3,
    attributes: { hidden_size: int(4), direction: text('bidirectional') },
  }),
]
