import { constant, input, int, float, sample } from '../helpers.ts'

const opset = 23
const heads = (q: number, kv = q) => ({ q_num_heads: int(q), kv_num_heads: int(kv) })

export default [
  sample('of rank 4', [input([2, 3, 4, 5]), input([2, 3, 6, 5]), input([2, 3, 6, 7])], { opset }),
  sample('of rank 3', [input([2, 4, 6]), input([2, 5, 6]), input([2, 5, 8])], { opset, attributes: heads(2) }),
  sample(
    'a mask that is added, a scale',
    [input([1, 2, 3, 4]), input([1, 2, 5, 4]), input([1, 2, 5, 4]), input([3, 5])],
    {
      opset,
      attributes: { scale: float(0.25) },
    },
  ),
  sample(
    'a mask of truth values',
    [input([2, 3, 8]), input([2, 3, 8]), input([2, 3, 8]), input([2, 1, 3, 3], { dtype: 'bool' })],
    { opset, attributes: heads(2) },
  ),
  sample(
    'a mask and causal, grouped',
    [input([1, 3, 8]), input([1, 3, 4]), input([1, 3, 4]), input([3, 3], { dtype: 'bool' })],
    { opset, attributes: { ...heads(4, 2), is_causal: int(1) } },
  ),
  sample('causal', [input([1, 4, 6]), input([1, 4, 6]), input([1, 4, 6])], {
    opset,
    attributes: { ...heads(3), is_causal: int(1) },
  }),
  sample('grouped queries', [input([2, 3, 8]), input([2, 5, 4]), input([2, 5, 6])], { opset, attributes: heads(4, 2) }),
  sample(
    'grouped queries with a mask',
    [input([2, 4, 3, 2]), input([2, 2, 5, 2]), input([2, 2, 5, 3]), constant([2, 1, 3, 5])],
    { opset },
  ),
]
