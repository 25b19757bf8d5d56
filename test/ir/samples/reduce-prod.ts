import { input, int, ints, sample, sizes } from '../helpers.ts'

export default [
  sample('an attribute', [input([2, 3, 4])], { opset: 17, attributes: { axes: ints(1) } }),
  sample('an attribute, dropped', [input([2, 3, 4])], { opset: 7, attributes: { axes: ints(0, 2), keepdims: int(0) } }),
  sample('all', [input([2, 3, 4])], { opset: 11 }),
  sample('an input', [input([2, 3, 4]), sizes([-1])], { opset: 18 }),
  sample('an input, dropped', [input([2, 3, 4]), sizes([1])], { attributes: { keepdims: int(0) } }),
  sample('several', [input([2, 3, 4]), sizes([2, 0])], { attributes: { keepdims: int(0) } }),
  sample('all to a scalar', [input([2, 3, 4])], { attributes: { keepdims: int(0) } }),
  sample('nothing to reduce', [input([2, 3, 4]), sizes([])], { attributes: { noop_with_empty_axes: int(1) } }),
  sample('int64', [input([2, 3], { dtype: 'int64', range: [-4, 4] }), sizes([1])]),
  sample('int32', [input([2, 3], { dtype: 'int32', range: [-4, 4] }), sizes([0])]),
]
