import { input, int, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('equal', [input([2, 6])], { opset: 11, outputs: 3, attributes: { axis: int(1) } }),
  sample('an attribute', [input([5, 2])], { opset: 11, outputs: 2, attributes: { split: ints(2, 3) } }),
  sample('an input', [input([2, 7, 2]), sizes([2, 1, 4])], { opset: 13, outputs: 3, attributes: { axis: int(-2) } }),
  sample('counted', [input([7, 2])], { outputs: 3, attributes: { num_outputs: int(3) } }),
  sample('counted and equal', [input([6, 2])], { outputs: 2, attributes: { num_outputs: int(2) } }),
  sample('one', [input([3, 2]), sizes([3])], { outputs: 1 }),
  sample('computed', [input([3, 2]), input([2], { dtype: 'int64', values: [1, 2] })], {
    outputs: 2,
    sizedByData: true,
  }),
]
