import { constant, input, int, ints, sample, text } from '../helpers.ts'

const vector = (n: number) => constant([n])

export default [
  sample('strided', [input([2, 3, 3, 2]), constant([3, 4, 3, 2]), vector(4)], { attributes: { strides: ints(2, 2) } }),
  sample('sequences', [input([1, 3, 4]), constant([3, 2, 3]), vector(2)], {
    opset: 11,
    attributes: { pads: ints(1, 1) },
  }),
  sample('volumes', [input([1, 2, 2, 2, 2]), constant([2, 3, 2, 2, 2])], { opset: 7 }),
  sample('output padding', [input([1, 2, 3]), constant([2, 2, 3]), vector(2)], {
    attributes: { strides: ints(2), output_padding: ints(1), pads: ints(1, 0) },
  }),
  sample('dilated', [input([1, 2, 3]), constant([2, 2, 2])], { attributes: { dilations: ints(2) } }),
  sample('computed weight', [input([2, 3, 4]), input([3, 2, 3]), vector(2)], { attributes: { strides: ints(2) } }),
  sample('computed weight, two groups', [input([1, 4, 3]), input([4, 3, 2]), input([6])], {
    attributes: { group: int(2) },
  }),
  sample('pointwise', [input([1, 4, 3]), constant([4, 3, 1]), vector(3)]),
  ...[4, 5, 6, 7, 8].map((size) =>
    sample(`output of ${size}`, [input([1, 2, 3]), constant([2, 2, 3])], {
      attributes: { strides: ints(2), output_shape: ints(size) },
    }),
  ),
  ...['SAME_UPPER', 'SAME_LOWER', 'VALID'].map((auto) =>
    sample(auto, [input([1, 2, 3]), constant([2, 2, 3]), vector(2)], {
      attributes: { strides: ints(2), auto_pad: text(auto) },
    }),
  ),
  sample('same with a small kernel', [input([1, 2, 3]), constant([2, 2, 2])], {
    attributes: { strides: ints(3), auto_pad: text('SAME_UPPER') },
  }),
  sample('same upper of 6', [input([1, 2, 3]), constant([2, 2, 3])], {
    attributes: { strides: ints(2), output_shape: ints(6), auto_pad: text('SAME_UPPER') },
  }),
  sample('two groups', [input([1, 4, 3]), constant([4, 3, 2]), vector(6)], {
    attributes: { group: int(2), strides: ints(2) },
  }),
  sample('four groups', [input([1, 8, 3]), constant([8, 2, 2]), vector(8)], { attributes: { group: int(4) } }),
  sample('depthwise', [input([2, 4, 3]), constant([4, 1, 2]), vector(4)], { attributes: { group: int(4) } }),
  sample('depthwise, two for each', [input([1, 3, 3]), constant([3, 2, 2])], { attributes: { group: int(3) } }),
  sample('computed bias', [input([1, 3, 4]), constant([3, 2, 3]), input([2])]),
]
