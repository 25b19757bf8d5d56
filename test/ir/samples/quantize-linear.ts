import { constant, input, int, sample } from '../helpers.ts'

const small = (dtype: 'int8' | 'uint8' | 'int16', ...values: ReadonlyArray<number>) =>
  constant(values.length === 1 ? [] : [values.length], { dtype, values })

export default [
  sample('uint8', [input([2, 3]), constant([], { values: [0.1] })], { opset: 13 }),
  sample('uint8 with a zero point', [input([2, 3]), constant([], { values: [0.1] }), small('uint8', 7)], { opset: 10 }),
  sample('saturated', [input([2, 5], { range: [-20, 20] }), constant([], { values: [0.1] }), small('int8', -3)]),
  sample('int8, by channel', [input([2, 3]), constant([3], { values: [0.1, 0.2, 0.3] }), small('int8', 0, 1, 2)]),
  sample(
    'by channel, a negative axis',
    [input([2, 3, 4]), constant([3], { values: [0.01, 0.02, 0.03] }), small('uint8', 100, 128, 3)],
    { attributes: { axis: int(-2) } },
  ),
  sample('one scale of rank 1', [
    input([2, 1]),
    constant([1], { values: [0.1] }),
    constant([1], { dtype: 'int8', values: [4] }),
  ]),
  sample('int16', [input([2, 3]), constant([], { values: [0.001] })], { attributes: { output_dtype: int(5) } }),
  sample('ties', [
    input([8], { values: [0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 127.5, 126.5] }),
    constant([], { values: [1] }),
    small('int8', 0),
  ]),
  sample('by block', [input([4, 3]), constant([2, 3], { range: [0.1, 0.5] })], {
    attributes: { axis: int(0), block_size: int(2) },
  }),
  sample('computed scale', [input([2, 3]), input([], { range: [0.1, 0.5] }), small('int8', 0)]),
]
