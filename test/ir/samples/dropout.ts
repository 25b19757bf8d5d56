import { constant, float, input, sample } from '../helpers.ts'

export default [
  sample('an attribute', [input([2, 3])], { opset: 7, attributes: { ratio: float(0.3) } }),
  sample('a ratio', [input([2, 3]), constant([], { values: [0.5] })], { opset: 13 }),
  sample('not training', [input([2, 3]), constant([]), constant([], { dtype: 'bool', values: [0] })], { opset: 13 }),
  sample('its mask', [input([2, 3])], { opset: 13, outputs: 2 }),
]
