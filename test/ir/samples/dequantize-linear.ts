import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('uint8', [input([2, 3], { dtype: 'uint8', range: [0, 255] }), constant([], { values: [0.1] })], { opset: 10 }),
  sample('by channel', [input([2, 3], { dtype: 'int8', range: [-9, 9] }), constant([2], { values: [0.1, 0.2] })], {
    attributes: { axis: int(0) },
  }),
]
