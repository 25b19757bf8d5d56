import { constant, float, int, sample } from '../../helpers.ts'
import { integers, scale, weight, zero } from '../../quantized.ts'

const heads = { num_heads: int(2) }
const bias = constant([24])
const counts = (values: ReadonlyArray<number>, shape: ReadonlyArray<number>) =>
  constant(shape, { dtype: 'int32', values })

export default [
  sample(
    'of two heads',
    [
      integers([2, 3, 6]),
      weight([6, 24]),
      bias,
      scale(0.02),
      scale(0.01),
      undefined,
      zero('uint8', 120),
      zero('int8', 3),
    ],
    { attributes: heads },
  ),
  sample(
    'unsigned, scales and zeros by column',
    [
      integers([2, 3, 6]),
      weight([6, 24], 'uint8'),
      bias,
      scale(0.02),
      scale(...Array.from({ length: 24 }, (_, i) => 0.005 + 0.001 * (i % 5))),
      counts([1, 0, 1, 1, 1, 0], [2, 3]),
      zero('uint8', 120),
      zero('uint8', ...Array.from({ length: 24 }, (_, i) => 120 + (i % 3))),
    ],
    { attributes: { ...heads, mask_filter_value: float(-3e4) } },
  ),
  sample(
    'causal, keys counted, no zero of the weight',
    [integers([2, 3, 6]), weight([6, 24]), bias, scale(0.02), scale(0.01), counts([2, 1], [2]), zero('uint8', 128)],
    { attributes: { ...heads, unidirectional: int(1), scale: float(0.4) } },
  ),
]
