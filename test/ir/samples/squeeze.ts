import { input, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('all', [input([1, 3, 1, 2])]),
  sample('an attribute', [input([1, 3, 1, 2])], { opset: 11, attributes: { axes: ints(-2) } }),
  sample('an input', [input([1, 3, 1, 2]), sizes([0, -2])]),
  sample('a known element', [sizes([5]), sizes([0])]),
]
