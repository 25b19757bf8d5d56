import { constant, float, floats, input, int, sample, text, texts } from '../helpers.ts'

const lengths = (...values: ReadonlyArray<number>) => constant([values.length], { dtype: 'int32', values })

export default [
  sample('forward', [input([5, 2, 3]), constant([1, 12, 3]), constant([1, 12, 4])], {
    opset: 7,
    outputs: 2,
    attributes: { hidden_size: int(4) },
  }),
  sample('reverse', [input([4, 1, 3]), constant([1, 12, 3]), constant([1, 12, 4]), constant([1, 24])], {
    outputs: 2,
    attributes: { hidden_size: int(4), direction: text('reverse') },
  }),
  sample('bidirectional', [input([5, 2, 3]), constant([2, 12, 3]), constant([2, 12, 4]), constant([2, 24])], {
    outputs: 2,
    attributes: { hidden_size: int(4), direction: text('bidirectional') },
  }),
  sample(
    'first states',
    [input([3, 2, 3]), constant([2, 12, 3]), constant([2, 12, 4]), constant([2, 24]), undefined, input([2, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4), direction: text('bidirectional') },
    },
  ),
  sample(
    'constant first states',
    [input([3, 2, 3]), constant([1, 12, 3]), constant([1, 12, 4]), undefined, undefined, constant([1, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4) },
    },
  ),
  sample(
    'sequences of some lengths',
    [input([5, 3, 2]), constant([2, 9, 2]), constant([2, 9, 3]), constant([2, 18]), lengths(2, 5, 0)],
    {
      outputs: 2,
      attributes: { hidden_size: int(3), direction: text('bidirectional') },
    },
  ),
  sample('clipped', [input([3, 2, 3]), constant([1, 12, 3]), constant([1, 12, 4]), constant([1, 24])], {
    outputs: 2,
    attributes: { hidden_size: int(4), clip: float(0.5) },
  }),
  sample(
    'batch first',
    [input([2, 5, 3]), constant([2, 12, 3]), constant([2, 12, 4]), constant([2, 24]), lengths(5, 3), input([2, 2, 4])],
    {
      outputs: 2,
      attributes: { hidden_size: int(4), direction: text('bidirectional'), layout: int(1) },
      noRuntime: 'no kernel for batches first',
    },
  ),
  sample('no hidden size', [input([2, 1, 3]), constant([1, 12, 3]), constant([1, 12, 4])], {
    outputs: 2,
    noRuntime: 'hidden_size has to be given',
  }),
  sample('linear before reset', [input([4, 2, 3]), constant([1, 12, 3]), constant([1, 12, 4]), constant([1, 24])], {
    outputs: 2,
    attributes: { hidden_size: int(4), linear_before_reset: int(1) },
  }),
  sample('activations', [input([4, 2, 3]), constant([2, 6, 3]), constant([2, 6, 2]), constant([2, 12])], {
    outputs: 2,
    attributes: {
      hidden_size: int(2),
      direction: text('bidirectional'),
      activations: texts('HardSigmoid', 'Elu', 'Sigmoid', 'ThresholdedRelu'),
      activation_alpha: floats(0.3, 0.6, 0.25),
    },
  }),
]
