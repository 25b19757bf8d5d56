import { constant, float, floats, input, int, sample, text, texts, unitWeights } from '../helpers.ts'

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
  // Units 1 and 4 are masked, nothing reads feature 2, and no unit reads unit 3.
  sample(
    'masked units',
    [
      input([4, 2, 4]),
      unitWeights([2, 1, 6, 4], (u, i) => u === 1 || u === 4 || i === 2),
      unitWeights([2, 1, 6, 6], (u, v) => u === 1 || u === 4 || v === 3 || v === 1),
      unitWeights([2, 2, 6], (u) => u === 1 || u === 4),
    ],
    { outputs: 2, attributes: { hidden_size: int(6), direction: text('bidirectional') } },
  ),
  // Units 0 to 2 are read by each other only, and unit 5 by itself; first states are given.
  sample(
    'units apart',
    [
      input([3, 2, 3]),
      unitWeights([1, 1, 6, 3], (u, i) => (u < 3 ? i > 0 : i === 0)),
      unitWeights([1, 1, 6, 6], (u, v) => u < 3 !== v < 3 || (v === 5 && u !== 5)),
      undefined,
      undefined,
      input([1, 2, 6]),
    ],
    { outputs: 2, attributes: { hidden_size: int(6) } },
  ),
  // Unit 2 holds what its biases make of it, and units 0 and 2 what constant features make of them.
  sample(
    'biased units',
    [
      input([4, 2, 3]),
      unitWeights([1, 1, 4, 3], (u, i) => u === 2 || (u === 0 && i > 0)),
      unitWeights([1, 1, 4, 4], (u) => u === 2 || u === 0),
      unitWeights([1, 2, 4], (u) => u === 0),
    ],
    { outputs: 2, attributes: { hidden_size: int(4) } },
  ),
  // Units 1 and 3 hold zero, after first states that are given.
  sample(
    'silent units',
    [
      input([3, 2, 3]),
      unitWeights([2, 1, 4, 3], (u) => u === 1 || u === 3),
      unitWeights([2, 1, 4, 4], (u) => u === 1 || u === 3),
      undefined,
      undefined,
      input([2, 2, 4]),
    ],
    { outputs: 2, attributes: { hidden_size: int(4), direction: text('bidirectional') } },
  ),
]
