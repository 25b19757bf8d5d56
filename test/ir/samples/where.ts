import { constant, input, sample, sizes } from '../helpers.ts'

export default [
  sample('broadcast', [input([2, 1], { dtype: 'bool' }), input([1, 3]), input([2, 3])], { opset: 9 }),
  sample('equal branches', [
    input([2, 3], { dtype: 'bool' }),
    constant([], { values: [0.5] }),
    constant([3], { values: [0.5, 0.5, 0.5] }),
  ]),
  sample('same shapes', [input([2, 3], { dtype: 'bool' }), input([2, 3]), input([2, 3])]),
  sample('the lowest number', [
    input([2, 3], { dtype: 'bool' }),
    input([2, 3]),
    constant([], { values: [-3.4028234663852886e38] }),
  ]),
  sample('constant condition', [constant([3], { dtype: 'bool', values: [1, 0, 1] }), input([2, 3]), input([3])]),
  sample('known elements', [constant([3], { dtype: 'bool', values: [1, 0, 1] }), sizes([4, 5, 6]), sizes([1], [1])]),
]
