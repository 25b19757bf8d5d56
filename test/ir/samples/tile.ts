import { input, sample, sizes } from '../helpers.ts'

export default [
  sample('both axes', [input([2, 3]), sizes([2, 3])], { opset: 7 }),
  sample('one axis', [input([2, 3]), sizes([1, 2])]),
  sample('once', [input([2, 3]), sizes([1, 1])]),
  sample('computed', [input([2]), input([1], { dtype: 'int64', values: [3] })], { sizedByData: true }),
]
