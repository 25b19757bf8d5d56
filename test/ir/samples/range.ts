import { constant, input, sample, sizes } from '../helpers.ts'

export default [
  sample('up', [sizes([0], []), sizes([5], []), sizes([1], [])]),
  sample('down', [sizes([10], []), sizes([-3], []), sizes([-4], [])], { opset: 11 }),
  sample('nothing', [sizes([3], []), sizes([1], []), sizes([1], [])]),
  sample('floats', [constant([], { values: [1] }), constant([], { values: [3] }), constant([], { values: [0.5] })]),
  sample('computed', [sizes([0], []), input([], { dtype: 'int64', values: [4] }), sizes([1], [])], {
    sizedByData: true,
  }),
]
