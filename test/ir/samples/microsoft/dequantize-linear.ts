import { constant, input, int, sample } from '../../helpers.ts'

export default [
  sample('sixteen bits', [
    input([2, 3], { dtype: 'int16', range: [-32768, 32767] }),
    constant([], { values: [1e-3] }),
    constant([], { dtype: 'int16', values: [300] }),
  ]),
  sample(
    'a constant',
    [
      constant([2, 3], { dtype: 'int8', range: [-128, 127] }),
      constant([2], { values: [0.1, 0.2] }),
      constant([2], { dtype: 'int8', values: [1, -1] }),
    ],
    { attributes: { axis: int(0) } },
  ),
]
