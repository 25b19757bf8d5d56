import { constant, floats, input, int, ints, sample, text } from '../../helpers.ts'

export default [
  sample('Relu', [input([2, 3, 5, 5]), constant([4, 3, 3, 3]), constant([4])], {
    attributes: { activation: text('Relu'), pads: ints(1, 1, 1, 1) },
  }),
  sample('LeakyRelu, no bias', [input([1, 4, 6]), constant([4, 2, 3])], {
    attributes: { activation: text('LeakyRelu'), activation_params: floats(0.2), group: int(2) },
  }),
  sample('Clip', [input([1, 2, 4, 4]), constant([3, 2, 1, 1]), constant([3])], {
    attributes: { activation: text('Clip'), activation_params: floats(-1, 1) },
  }),
  sample('Clip before opset 11', [input([1, 2, 4, 4]), constant([3, 2, 1, 1]), constant([3])], {
    opset: 10,
    attributes: { activation: text('Clip'), activation_params: floats(-1, 1) },
  }),
  sample('HardSigmoid', [input([1, 2, 4, 4]), constant([3, 2, 1, 1]), constant([3])], {
    attributes: { activation: text('HardSigmoid'), activation_params: floats(0.3, 0.4) },
  }),
  sample('a sum', [input([1, 2, 4, 4]), constant([3, 2, 1, 1]), constant([3]), input([1, 3, 4, 4])], {
    attributes: { activation: text('Relu') },
  }),
]
