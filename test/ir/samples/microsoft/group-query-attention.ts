import { constant, input, int, sample } from '../../helpers.ts'

const total = (values: ReadonlyArray<number>, shape: ReadonlyArray<number> = [values.length]) =>
  constant(shape, { dtype: 'int32', values })

export default [
  sample(
    'of two heads for one',
    [input([1, 2, 16]), input([1, 2, 8]), input([1, 2, 8]), undefined, undefined, total([1]), total([2], [1])],
    { attributes: { num_heads: int(2), kv_num_heads: int(1) }, outputs: 3, sizedByData: true },
  ),
]
