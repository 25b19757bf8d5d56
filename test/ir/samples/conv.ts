import { constant, input, int, ints, sample, text } from '../helpers.ts'

const vector = (n: number) => constant([n])

export default [
  sample('padded', [input([2, 3, 5, 4]), constant([4, 3, 3, 3]), vector(4)], {
    attributes: { pads: ints(1, 1, 1, 1) },
  }),
  sample('unpadded', [input([1, 4, 5]), constant([3, 4, 3]), vector(3)], { opset: 11 }),
  sample('no bias', [input([2, 3, 4, 4]), constant([2, 3, 1, 1])], { opset: 7 }),
  sample('strided and dilated', [input([1, 2, 7, 6]), constant([3, 2, 2, 3]), vector(3)], {
    attributes: { strides: ints(2, 1), dilations: ints(2, 2), pads: ints(0, 2, 1, 0), kernel_shape: ints(2, 3) },
  }),
  sample('volumes', [input([1, 2, 3, 3, 2]), constant([2, 2, 2, 2, 1])]),
  sample('same upper', [input([1, 2, 5]), constant([2, 2, 2])], {
    attributes: { auto_pad: text('SAME_UPPER'), strides: ints(2) },
  }),
  sample('same lower', [input([1, 2, 6]), constant([2, 2, 3])], {
    attributes: { auto_pad: text('SAME_LOWER'), strides: ints(1) },
  }),
  sample('valid', [input([1, 2, 5]), constant([2, 2, 3])], { attributes: { auto_pad: text('VALID') } }),
  sample('two groups', [input([1, 4, 4]), constant([6, 2, 3]), vector(6)], {
    attributes: { group: int(2), pads: ints(1, 1) },
  }),
  sample('four groups', [input([1, 8, 3]), constant([8, 2, 1]), vector(8)], { attributes: { group: int(4) } }),
  sample('depthwise', [input([2, 4, 3, 3]), constant([4, 1, 3, 3]), vector(4)], {
    attributes: { group: int(4), pads: ints(1, 1, 1, 1) },
  }),
  sample('depthwise, two for each', [input([1, 3, 4]), constant([6, 1, 2])], { attributes: { group: int(3) } }),
  sample('computed bias', [input([1, 3, 4]), constant([2, 3, 3]), input([2])]),
  sample('computed weight', [input([1, 2, 4]), input([3, 2, 2]), vector(3)]),
  sample('computed weight and bias, two groups', [input([2, 4, 4]), input([6, 2, 3]), input([6])], {
    attributes: { group: int(2), pads: ints(1, 1) },
  }),
  sample('computed weight, constant input', [constant([1, 6, 4]), input([6, 2, 2])], { attributes: { group: int(3) } }),
  sample('float64', [input([1, 3, 4], { dtype: 'float64' }), constant([2, 3, 3], { dtype: 'float64' })], {
    noRuntime: 'no kernel for float64',
  }),
  sample('float16', [
    input([1, 3, 4], { dtype: 'float16' }),
    constant([2, 3, 3], { dtype: 'float16' }),
    constant([2], { dtype: 'float16' }),
  ]),
]
