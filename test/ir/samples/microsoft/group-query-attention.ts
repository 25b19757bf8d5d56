import { constant, float, input, int, sample } from '../../helpers.ts'

const total = (values: ReadonlyArray<number>, shape: ReadonlyArray<number> = [values.length]) =>
  constant(shape, { dtype: 'int32', values })

export default [
  sample(
    'of two heads for one',
    [input([1, 2, 16]), input([1, 2, 8]), input([1, 2, 8]), undefined, undefined, total([1]), total([2], [1])],
    { attributes: { num_heads: int(2), kv_num_heads: int(1) }, outputs: 3, sizedByData: true },
  ),
  sample(
    'of two heads for each of two, of which one is shorter',
    [input([2, 3, 32]), input([2, 3, 16]), input([2, 3, 16]), undefined, undefined, total([2, 1]), total([3], [1])],
    { attributes: { num_heads: int(4), kv_num_heads: int(2), scale: float(0.5) }, sizedByData: true },
  ),
  sample(
    'with positions turned',
    [
      ...[input([2, 3, 32]), input([2, 3, 16]), input([2, 3, 16]), undefined, undefined],
      ...[total([2, 0]), total([3], [1]), constant([3, 8]), constant([3, 8])],
    ],
    { attributes: { num_heads: int(2), kv_num_heads: int(1), do_rotary: int(1) }, outputs: 3, sizedByData: true },
  ),
]
