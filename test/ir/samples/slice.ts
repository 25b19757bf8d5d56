import { constant, input, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('attributes', [input([4, 5])], {
    opset: 9,
    attributes: { starts: ints(1, -3), ends: ints(3, 100), axes: ints(0, 1) },
  }),
  sample('attributes, all axes', [input([4, 5])], { opset: 7, attributes: { starts: ints(0, 1), ends: ints(2, 4) } }),
  sample('one axis', [input([2, 6, 2]), sizes([1]), sizes([4]), sizes([1])]),
  sample('to the end', [input([2, 6]), sizes([2]), sizes([2 ** 53]), sizes([-1])], { opset: 10 }),
  sample('from the end', [input([2, 6]), sizes([-4, 0]), sizes([-1, 2]), sizes([1, 0])]),
  sample('steps', [input([5, 6]), sizes([0, 5]), sizes([5, 1]), sizes([0, 1]), sizes([2, -2])]),
  sample('every third', [input([11]), sizes([1]), sizes([11]), sizes([0]), sizes([3])]),
  sample('backwards', [input([2, 6]), sizes([100]), sizes([-100]), sizes([1]), sizes([-1])]),
  sample('backwards to the start', [input([5]), sizes([-1]), sizes([-(2 ** 53)]), sizes([0]), sizes([-1])]),
  sample('nothing', [input([5, 2]), sizes([3]), sizes([1])]),
  sample('everything', [input([5, 2]), sizes([0]), sizes([5])]),
  sample('int32 bounds', [
    input([2, 6]),
    constant([1], { dtype: 'int32', values: [1] }),
    constant([1], { dtype: 'int32', values: [5] }),
    constant([1], { dtype: 'int32', values: [1] }),
  ]),
  sample('known elements', [sizes([7, 8, 9, 10]), sizes([1]), sizes([3])]),
  sample('known elements backwards', [sizes([7, 8, 9, 10]), sizes([3]), sizes([0]), sizes([0]), sizes([-2])]),
  sample('computed', [input([2, 6]), input([1], { dtype: 'int64', values: [1] }), sizes([4]), sizes([1])], {
    sizedByData: true,
  }),
]
