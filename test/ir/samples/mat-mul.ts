import { constant, input, sample } from '../helpers.ts'

export default [
  sample('constant right', [input([3, 4]), constant([4, 5])], { opset: 9 }),
  sample('constant right, batches', [input([2, 3, 4]), constant([4, 5])]),
  sample('constant left', [constant([5, 4]), input([4, 3])]),
  sample('constant left, batches', [constant([5, 4]), input([2, 2, 4, 3])]),
  sample('two computed', [input([2, 3, 4]), input([2, 4, 5])]),
  sample('broadcast batches', [input([2, 1, 3, 4]), input([3, 4, 2])]),
  sample('a batch of constants', [input([2, 3, 4]), constant([2, 4, 5])]),
  sample('vector on the left', [input([4]), constant([4, 5])]),
  sample('vector on the right', [constant([3, 4]), input([4])]),
  sample('two vectors', [input([4]), input([4])]),
  sample('vector against batches', [input([2, 3, 4]), input([4])]),
  sample('both constant', [constant([3, 4]), constant([4, 5])]),
  sample('float64', [input([2, 3], { dtype: 'float64' }), constant([3, 2], { dtype: 'float64' })]),
]
