import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('uint8', [input([2, 3], { dtype: 'uint8', range: [0, 255] }), constant([], { values: [0.1] })], { opset: 10 }),
  sample('by channel', [input([2, 3], { dtype: 'int8', range: [-9, 9] }), constant([2], { values: [0.1, 0.2] })], {
    attributes: { axis: int(0) },
  }),
  sample('by channel with zero points', [
    input([2, 3, 2], { dtype: 'uint8', range: [0, 255] }),
    constant([3], { values: [0.1, 0.2, 0.3] }),
    constant([3], { dtype: 'uint8', values: [0, 128, 255] }),
  ]),
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-(2 ** 30), 2 ** 30] }), constant([], { values: [1e-3] })]),
  sample('uint16', [
    input([2, 3], { dtype: 'uint16', range: [0, 60000] }),
    constant([], { values: [0.5] }),
    constant([], { dtype: 'uint16', values: [30000] }),
  ]),
  sample('half precision', [
    input([2, 3], { dtype: 'int8', range: [-128, 127] }),
    constant([], { dtype: 'float16', values: [0.1] }),
    constant([], { dtype: 'int8', values: [3] }),
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
  sample('by block', [input([4, 3], { dtype: 'int8', range: [-9, 9] }), constant([2, 3])], {
    attributes: { axis: int(0), block_size: int(2) },
  }),
]
