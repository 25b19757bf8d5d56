import { constant, float, input, ints, sample, sizes, text } from '../helpers.ts'

export default [
  sample('an attribute', [input([2, 3])], { opset: 9, attributes: { pads: ints(0, 1, 1, 2), value: float(0.5) } }),
  sample('an attribute, edge', [input([2, 3])], {
    opset: 7,
    attributes: { pads: ints(0, 1, 0, 2), mode: text('edge') },
  }),
  sample('spatial', [input([2, 2, 3]), sizes([0, 0, 1, 0, 0, 2])], { opset: 11 }),
  sample('channels', [input([2, 3, 2]), sizes([0, 2, 0, 0, 1, 0]), constant([], { values: [0.5] })]),
  sample('channels and spatial', [input([2, 3, 2]), sizes([0, 1, 1, 0, 1, 0]), constant([], { values: [2] })]),
  sample('cropped', [input([4, 5]), sizes([-1, 0, 0, -2])]),
  sample('cropped and padded', [input([4, 3]), sizes([-1, 0, 2, 1])]),
  sample('axes', [input([2, 3, 2]), sizes([1, 2]), undefined, sizes([-2])], { opset: 18 }),
  sample('reflect', [input([2, 3, 4]), sizes([0, 0, 2, 0, 0, 3])], { attributes: { mode: text('reflect') } }),
  sample('edge', [input([2, 3, 4]), sizes([0, 1, 2, 0, 0, 1])], { attributes: { mode: text('edge') } }),
  sample('wrap', [input([2, 4]), sizes([0, 1, 0, 2])], { opset: 19, attributes: { mode: text('wrap') } }),
  sample('none', [input([2, 2]), sizes([0, 0, 0, 0])]),
  sample('computed value', [input([2, 2]), sizes([0, 1, 0, 0]), input([])]),
]
