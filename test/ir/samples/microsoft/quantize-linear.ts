import { constant, input, int, sample } from '../../helpers.ts'

export default [
  sample('sixteen bits', [
    input([2, 3]),
    constant([], { values: [1e-3] }),
    constant([], { dtype: 'uint16', values: [30000] }),
  ]),
  sample(
    'by channel',
    [input([2, 3]), constant([2], { values: [0.01, 0.02] }), constant([2], { dtype: 'int8', values: [3, -5] })],
    { attributes: { axis: int(0) } },
  ),
]
