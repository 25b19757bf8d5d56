/** Multiply-accumulates, counted by hand. */
import { expect, test } from 'vitest'
import { contextOf } from '../../src/ir/graph.ts'
import { findOp } from '../../src/ir/registry.ts'
import {
  constant,
  graphOf,
  input,
  int,
  ints,
  nodeOf,
  type Operand,
  sample,
  type SampleOptions,
  text,
  valuesOf,
} from './helpers.ts'

const macsOf = (name: string, inputs: ReadonlyArray<Operand>, options: SampleOptions = {}): number | undefined => {
  const op = findOp(name)
  if (op === undefined) throw new Error(`no operator ${name}`)
  const one = sample(name, inputs, options)
  return op.macs?.(contextOf(graphOf(op, one, valuesOf(one, 1)), nodeOf(op, one)))
}

test('a convolution multiplies each output by the kernel of its group', () => {
  const [x, w] = [input([2, 4, 5, 5]), constant([6, 4, 3, 3])]
  expect(macsOf('Conv', [x, w])).toBe(2 * 6 * 3 * 3 * (4 * 3 * 3))
  expect(macsOf('Conv', [x, w], { attributes: { pads: ints(1, 1, 1, 1) } })).toBe(2 * 6 * 5 * 5 * (4 * 3 * 3))
  const grouped = constant([6, 2, 3, 3])
  expect(macsOf('Conv', [x, grouped], { attributes: { group: int(2) } })).toBe(2 * 6 * 3 * 3 * (2 * 3 * 3))
})

test('a transposed convolution multiplies each input by the kernels of its group', () => {
  const x = input([2, 4, 5])
  expect(macsOf('ConvTranspose', [x, constant([4, 3, 2])])).toBe(2 * 4 * 5 * (3 * 2))
  expect(macsOf('ConvTranspose', [x, constant([4, 3, 2])], { attributes: { group: int(2) } })).toBe(2 * 4 * 5 * (3 * 2))
})

test('a matrix product multiplies each output by what is summed', () => {
  expect(macsOf('MatMul', [input([2, 3, 4]), input([2, 4, 5])])).toBe(2 * 3 * 5 * 4)
  expect(macsOf('MatMul', [input([3, 4]), constant([4, 5])])).toBe(3 * 5 * 4)
  expect(macsOf('Gemm', [input([3, 4]), constant([4, 5])])).toBe(3 * 5 * 4)
  const both = { attributes: { transA: int(1), transB: int(1) } }
  expect(macsOf('Gemm', [input([4, 3]), constant([5, 4])], both)).toBe(3 * 5 * 4)
})

test('a recurrence multiplies every input and every state by the weights of all gates, in each direction', () => {
  const [x, both] = [input([5, 2, 3]), { attributes: { direction: text('bidirectional'), hidden_size: int(4) } }]
  expect(macsOf('LSTM', [x, constant([1, 16, 3]), constant([1, 16, 4])])).toBe(5 * 2 * (4 * 4) * (3 + 4))
  expect(macsOf('GRU', [x, constant([2, 12, 3]), constant([2, 12, 4])], both)).toBe(2 * 5 * 2 * (3 * 4) * (3 + 4))
  expect(macsOf('RNN', [x, constant([2, 4, 3]), constant([2, 4, 4])], both)).toBe(2 * 5 * 2 * 4 * (3 + 4))
})

test('element-wise operators and pooling count none', () => {
  expect(macsOf('Relu', [input([2, 3])])).toBeUndefined()
  expect(macsOf('GlobalAveragePool', [input([2, 3, 4])])).toBeUndefined()
})
