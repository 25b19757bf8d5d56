import { input, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('an attribute', [input([3, 2])], { opset: 11, attributes: { axes: ints(0, 3) } }),
  sample('an input', [input([3, 2]), sizes([-1, 1])]),
  sample('a known element', [sizes([5], []), sizes([0])]),
]
