import { constant, input, int, sample, sizes } from '../helpers.ts'

export default [
  sample(
    'last axis',
    [input([2, 2], { dtype: 'int64', range: [-4, 4] }), sizes([3], []), constant([2], { values: [2, 5] })],
    { opset: 9 },
  ),
  sample(
    'first axis',
    [input([2, 2], { dtype: 'int64', range: [0, 2] }), sizes([3], []), constant([2], { values: [0, 1] })],
    {
      attributes: { axis: int(0) },
    },
  ),
]
