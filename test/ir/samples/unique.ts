import { constant, int, sample } from '../helpers.ts'

export default [
  sample('flattened', [constant([4], { values: [2, 1, 1, 3] })], { outputs: 4, sizedByData: true }),
  sample('along an axis', [constant([3, 2], { values: [1, 0, 1, 0, 2, 3] })], {
    outputs: 4,
    opset: 11,
    attributes: { axis: int(0) },
    sizedByData: true,
  }),
]
