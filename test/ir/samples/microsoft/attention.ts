import { constant, float, input, int, ints, sample } from '../../helpers.ts'

const weights = [constant([6, 24]), constant([24])] as const
const heads = { num_heads: int(2) }
const counts = (values: ReadonlyArray<number>, shape: ReadonlyArray<number>) =>
  constant(shape, { dtype: 'int32', values })

export default [
  sample('of two heads', [input([2, 3, 6]), ...weights], { attributes: heads }),
  sample('no bias', [input([2, 3, 6]), constant([6, 24])], { attributes: heads, noRuntime: 'it wants a bias' }),
  sample('values of another width, a scale', [input([2, 3, 6]), constant([6, 20]), constant([20])], {
    attributes: { ...heads, qkv_hidden_sizes: ints(8, 8, 4), scale: float(0.3) },
  }),
  sample('causal', [input([1, 4, 6]), ...weights], { attributes: { ...heads, unidirectional: int(1) } }),
  sample('keys counted', [input([2, 3, 6]), ...weights, counts([2, 3], [2])], { attributes: heads }),
  sample('keys counted, causal', [input([2, 3, 6]), ...weights, counts([2, 1], [2])], {
    attributes: { ...heads, unidirectional: int(1), mask_filter_value: float(-3e4) },
  }),
  sample('a mask for keys', [input([2, 3, 6]), ...weights, counts([1, 0, 1, 1, 1, 0], [2, 3])], { attributes: heads }),
  sample(
    'a mask for queries and keys, and what is added',
    [input([1, 3, 6]), ...weights, counts([1, 0, 1, 0, 1, 1, 1, 1, 0], [1, 3, 3]), undefined, input([1, 2, 3, 3])],
    { attributes: heads },
  ),
  sample('a mask that is small', [input([1, 3, 6]), ...weights, counts([0, 1, 1], [1, 3])], {
    attributes: { ...heads, mask_filter_value: float(-1.5) },
  }),
]
