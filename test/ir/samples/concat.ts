import { constant, input, int, sample, sizes } from '../helpers.ts'

export default [
  sample('channels', [input([2, 3, 2]), input([2, 2, 2]), input([2, 1, 2])], { attributes: { axis: int(1) } }),
  sample('from the end', [input([2, 3]), input([2, 2])], { opset: 11, attributes: { axis: int(-1) } }),
  sample('one', [input([2, 3])], { opset: 7, attributes: { axis: int(0) } }),
  sample('a constant', [input([2, 2]), constant([2, 3])], { attributes: { axis: int(1) } }),
  sample('nothing', [input([2, 0]), input([2, 3])], { attributes: { axis: int(1) } }),
  sample('known elements', [sizes([1]), sizes([2, 3])], { attributes: { axis: int(0) } }),
  sample('known and unknown', [sizes([1]), input([2], { dtype: 'int64', range: [0, 9] })], {
    attributes: { axis: int(0) },
  }),
]
