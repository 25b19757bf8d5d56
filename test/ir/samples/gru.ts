import { constant, input, int, sample, text } from '../helpers.ts'

export default [
  sample('forward', [input([5, 2, 3]), constant([1, 12, 3]), constant([1, 12, 4])], {
    opset: 7,
    outputs: 2,
    attributes: { hidden_size: int(4) },
  }),
  sample('bidirectional', [input([5, 2, 3]), constant([2, 12, 3]), constant([2, 12, 4]), constant([2, 24])], {
    outputs: 2,
    attributes: { hidden_size: int(4), direction: text('bidirectional') },
  }),
]
