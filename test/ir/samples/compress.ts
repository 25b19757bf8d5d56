import { constant, input, int, sample } from '../helpers.ts'

export default [
  sample('an axis', [input([2, 4, 2]), constant([3], { dtype: 'bool', values: [1, 0, 1] })], {
    attributes: { axis: int(1) },
    sizedByData: true,
  }),
  sample('flattened', [input([2, 2]), constant([4], { dtype: 'bool', values: [0, 1, 1, 0] })], {
    opset: 9,
    sizedByData: true,
  }),
]
