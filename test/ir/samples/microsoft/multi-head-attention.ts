import { constant, float, input, int, sample } from '../../helpers.ts'

const heads = { num_heads: int(2) }
const mask = (values: ReadonlyArray<number>, shape: ReadonlyArray<number>) =>
  constant(shape, { dtype: 'int32', values })

export default [
  sample('of two heads', [input([2, 3, 6]), input([2, 4, 6]), input([2, 4, 8])], { attributes: heads }),
  sample('biases, a scale', [input([2, 3, 6]), input([2, 3, 6]), input([2, 3, 4]), constant([16])], {
    attributes: { ...heads, scale: float(0.4) },
  }),
  sample('keys that have heads', [input([2, 3, 6]), input([2, 2, 4, 3]), input([2, 2, 4, 3])], { attributes: heads }),
  sample('causal', [input([1, 3, 4]), input([1, 3, 4]), input([1, 3, 4])], {
    attributes: { ...heads, unidirectional: int(1) },
  }),
  sample(
    'a mask for keys',
    [input([2, 2, 4]), input([2, 3, 4]), input([2, 3, 4]), undefined, mask([1, 0, 1, 0, 1, 1], [2, 3])],
    { attributes: heads },
  ),
  sample(
    'keys counted, and what is added',
    [input([2, 2, 4]), input([2, 3, 4]), input([2, 3, 4]), undefined, mask([2, 3], [2]), input([1, 2, 2, 3])],
    { attributes: { ...heads, mask_filter_value: float(-1e9) } },
  ),
]
