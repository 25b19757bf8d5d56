import { constant, float, floats, input, int, sample, text, texts } from '../helpers.ts'

const lengths = (...values: ReadonlyArray<number>) => constant([values.length], { dtype: 'int32', values })

export default [
  sample('forward', [input([5, 2, 3]), constant([1, 4, 3]), constant([1, 4, 4])], {
    opset: 7,
    outputs: 2,
    attributes: { hidden_size: int(4) },
  }),
  sample('reverse', [input([4, 1, 3]), constant([1, 4, 3]), constant([1, 4, 4]), constant([1, 8])], {
    outputs: 2,
    attributes: { hidden_size: int(4), direction: text('reverse') },
  }),
  sample('bidirectional', [input([5, 2, 3]), constant([2, 4, 3]), constant([2, 4, 4]), constant([2, 8])], {
    outputs: 2,
    attributes: { hidden_size: int(4), direction: text('bidirectional') },
  }),
  sample(
    'first states',
    [input([3, 2, 3]), constant([2, 4, 3]), constant([2, 4, 4]), constant([2, 8]), undefined, input([2, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4), direction: text('bidirectional') },
    },
  ),
  sample(
    'constant first states',
    [input([3, 2, 3]), constant([1, 4, 3]), constant([1, 4, 4]), undefined, undefined, constant([1, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4) },
    },
  ),
  sample(
    'sequences of some lengths',
    [input([5, 3, 2]), constant([2, 3, 2]), constant([2, 3, 3]), constant([2, 6]), lengths(2, 5, 0)],
    {
      outputs: 2,
      attributes: { hidden_size: int(3), direction: text('bidirectional') },
    },
  ),
  sample('clipped', [input([3, 2, 3]), constant([1, 4, 3]), constant([1, 4, 4]), constant([1, 8])], {
    outputs: 2,
    attributes: { hidden_size: int(4), clip: float(0.5) },
  }),
  sample(
    'batch first',
    [input([2, 5, 3]), constant([2, 4, 3]), constant([2, 4, 4]), constant([2, 8]), lengths(5, 3), input([2, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4), direction: text('bidirectional'), layout: int(1) },
      noRuntime: 'no kernel for batches first',
    },
  ),
  sample('no hidden size', [input([2, 1, 3]), constant([1, 4, 3]), constant([1, 4, 4])], {
    outputs: 2,
    noRuntime: 'hidden_size has to be given',
  }),
  sample('activations', [input([3, 2, 3]), constant([2, 4, 3]), constant([2, 4, 4], { range: [-0.5, 0.5] })], {
    outputs: 2,
    attributes: {
      hidden_size: int(4),
      direction: text('bidirectional'),
      activations: texts('Softplus', 'Affine'),
      activation_alpha: floats(0.5),
      activation_beta: floats(0.25),
    },
  }),
]
