import { constant, float, input, int, sample, text } from '../../helpers.ts'

export default [
  sample('Relu', [input([2, 3]), constant([3, 4]), constant([4])], { attributes: { activation: text('Relu') } }),
  sample('LeakyRelu', [input([2, 3]), constant([4, 3]), constant([4])], {
    attributes: { activation: text('LeakyRelu'), activation_alpha: float(0.2), transB: int(1), alpha: float(0.5) },
  }),
  sample('Elu, no bias', [input([2, 3]), constant([3, 4])], {
    attributes: { activation: text('Elu'), activation_alpha: float(0.5) },
  }),
  sample('Tanh', [input([2, 3]), input([3, 4])], { attributes: { activation: text('Tanh') } }),
]
