import { input, int, ints, sample, text } from '../helpers.ts'

export default [
  sample('unpadded', [input([2, 3, 4, 4])], { opset: 7, attributes: { kernel_shape: ints(2, 2) } }),
  sample('strided', [input([2, 2, 5, 5])], {
    opset: 11,
    attributes: { kernel_shape: ints(3, 3), strides: ints(2, 2), pads: ints(1, 1, 1, 1) },
  }),
  sample('uneven padding', [input([1, 2, 5, 4])], {
    attributes: { kernel_shape: ints(3, 2), strides: ints(2, 1), pads: ints(1, 0, 0, 1) },
  }),
  sample('rounded up', [input([1, 2, 6])], {
    attributes: { kernel_shape: ints(3), strides: ints(2), ceil_mode: int(1) },
  }),
  sample('same upper', [input([1, 2, 6])], { attributes: { kernel_shape: ints(2), auto_pad: text('SAME_UPPER') } }),
  sample('same lower', [input([1, 2, 5])], {
    attributes: { kernel_shape: ints(3), strides: ints(2), auto_pad: text('SAME_LOWER') },
  }),
  sample('valid', [input([1, 2, 5])], { attributes: { kernel_shape: ints(3), auto_pad: text('VALID') } }),
  sample('volumes', [input([1, 2, 3, 2, 2])], { attributes: { kernel_shape: ints(2, 2, 1) } }),
  sample('indices', [input([1, 2, 6])], { outputs: 2, attributes: { kernel_shape: ints(2) } }),
  sample('dilated', [input([1, 2, 7])], {
    attributes: { kernel_shape: ints(2), dilations: ints(3), pads: ints(1, 1) },
  }),
  sample('dilated beyond a small input', [input([1, 1, 2])], {
    attributes: { kernel_shape: ints(2), dilations: ints(3), pads: ints(1, 1) },
    noRuntime: 'an empty window is the lowest number there',
  }),
  sample('uint8', [input([1, 2, 6], { dtype: 'uint8', range: [0, 255] })], { attributes: { kernel_shape: ints(2) } }),
]
