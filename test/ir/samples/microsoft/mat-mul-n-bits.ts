import { constant, input, int, type Operand, sample } from '../../helpers.ts'
import { weight, zero } from '../../quantized.ts'

const sizes = (K: number, N: number, bits: number, block: number) => ({
  K: int(K),
  N: int(N),
  bits: int(bits),
  block_size: int(block),
})

const scales = (...shape: ReadonlyArray<number>): Operand => constant(shape, { range: [0.01, 0.1] })

export default [
  sample('blocks of four bits', [input([2, 3, 32]), weight([5, 2, 8], 'uint8'), scales(5, 2)], {
    attributes: sizes(32, 5, 4, 16),
  }),
  sample(
    'a last block that is not full, zero points, a bias',
    [input([3, 42]), weight([4, 3, 8], 'uint8'), scales(4, 3), weight([4, 2], 'uint8'), undefined, constant([4])],
    { attributes: sizes(42, 4, 4, 16) },
  ),
  sample(
    'scales and zero points without axes of their own',
    [input([3, 64]), weight([4, 2, 16], 'uint8'), scales(8), weight([4], 'uint8')],
    { attributes: sizes(64, 4, 4, 32) },
  ),
  sample('eight bits', [input([3, 32]), weight([6, 2, 16], 'uint8'), scales(6, 2), weight([6, 2], 'uint8')], {
    attributes: sizes(32, 6, 8, 16),
  }),
  sample('two bits', [input([3, 32]), weight([6, 2, 4], 'uint8'), scales(6, 2), weight([6, 1], 'uint8')], {
    attributes: sizes(32, 6, 2, 16),
  }),
  sample(
    'zero points as numbers',
    [input([3, 32]), weight([3, 2, 8], 'uint8'), scales(3, 2), constant([3, 2], { values: [8, 7, 3, 0, 15, 1] })],
    { attributes: sizes(32, 3, 4, 16) },
  ),
  sample(
    'columns and rows of zeros',
    [
      input([2, 48]),
      weight([4, 3, 8], 'uint8'),
      constant([4, 3], { values: [0.1, 0, 0.2, 0, 0, 0, 0.05, 0, 0.1, 0.2, 0, 0.1] }),
    ],
    { attributes: sizes(48, 4, 4, 16) },
  ),
  sample(
    'a computed bias',
    [
      input([3, 32]),
      weight([5, 2, 8], 'uint8'),
      scales(5, 2),
      zero('uint8', ...new Array<number>(5).fill(119)),
      undefined,
      input([5]),
    ],
    { attributes: sizes(32, 5, 4, 16) },
  ),
  sample('a computed weight', [input([2, 32]), input([5, 2, 8], { dtype: 'uint8', range: [0, 255] }), scales(5, 2)], {
    attributes: sizes(32, 5, 4, 16),
    noRuntime: 'ONNX Runtime packs constants only',
  }),
]
