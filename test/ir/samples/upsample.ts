import { constant, floats, input, sample, text } from '../helpers.ts'

export default [
  sample('an attribute', [input([1, 2, 2, 3])], { opset: 7, attributes: { scales: floats(1, 1, 2, 1.5) } }),
  sample('an input', [input([1, 2, 2, 3]), constant([4], { values: [1, 1, 2, 2] })], { opset: 9 }),
  sample('linear', [input([1, 2, 2, 3]), constant([4], { values: [1, 1, 2, 3] })], {
    opset: 9,
    attributes: { mode: text('linear') },
  }),
]
