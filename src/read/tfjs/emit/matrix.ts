/** Products of matrices, and affine maps of channels. */
import { Add } from '../../../ir/ops/add.ts'
import { BatchNormalization } from '../../../ir/ops/batch-normalization.ts'
import { MatMul } from '../../../ir/ops/mat-mul.ts'
import type { Builder } from '../builder.ts'
import type { Layout, Operand } from '../operand.ts'
import { combine } from './elementwise.ts'

/** The last two axes exchanged. */
const exchanged = (rank: number): ReadonlyArray<number> =>
  Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? rank - 2 : axis === rank - 2 ? rank - 1 : axis))

/** A matrix, or many of them, with rows and columns exchanged where that is said. */
const side = (b: Builder, x: Operand, isTransposed: boolean): string => {
  const rank = b.rankOf(x) ?? 2
  return isTransposed ? b.arranged(x, exchanged(rank)) : b.last(x)
}

export const matMul = (b: Builder, x: Operand, y: Operand, transposeX = false, transposeY = false): Operand =>
  b.computed(b.node(MatMul, [side(b, x, transposeX), side(b, y, transposeY)]))

/** What is added to each channel, the last axis. */
export const biasAdd = (b: Builder, x: Operand, bias: Operand, channels: Layout = 'last'): Operand => {
  if (channels === 'last') return combine(b, Add, [x, bias])
  return b.computed(b.node(Add, [b.last(x), b.broadcast(bias, b.rankOf(x) ?? 4)]))
}

/** `(x - mean) / √(variance + epsilon) · scale + offset` of each channel. */
export const batchNormalization = (
  b: Builder,
  x: Operand,
  [scale, offset, mean, variance]: readonly [scale: Operand, offset: Operand, mean: Operand, variance: Operand],
  epsilon: number,
  channels: Layout,
): Operand => {
  const value = channels === 'first' ? b.last(x) : b.first(x)
  const inputs = [value, ...[scale, offset, mean, variance].map(b.last)]
  return b.computed(b.node(BatchNormalization, inputs, { epsilon }), channels === 'first' ? 'last' : 'first')
}
