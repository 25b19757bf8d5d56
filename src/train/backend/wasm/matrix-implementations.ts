import type { TensorInfo } from '@tensorflow/tfjs-core'
import type { Call, Implementations } from './implementation.ts'

const product = (shape: ReadonlyArray<number>): number => shape.reduce((n, d) => n * d, 1)

/** A tensor as a stack of matrices, with what it takes to broadcast it: 0 where one matrix serves all. */
const stackOf = ({ shape }: TensorInfo) => {
  const [rows = 1, columns = 1] = shape.slice(-2)
  const count = product(shape.slice(0, -2))
  return { rows, columns, count, step: count === 1 ? 0 : rows * columns }
}

/** `x` with its two last axes swapped, in a tensor of its own. */
const swapped = ({ machine }: Call, x: TensorInfo): TensorInfo => {
  const { rows, columns, count } = stackOf(x)
  const out = machine.output([...x.shape.slice(0, -2), columns, rows])
  machine.call('transposeMatrices', count * columns, machine.address(x), machine.address(out), rows, columns)
  return out
}

/** One large product is what the stock kernel is fast at: a matrix by another, none transposed. */
const isStockCase = (a: TensorInfo, b: TensorInfo, transposed: boolean): boolean =>
  !transposed && product(a.shape.slice(0, -2)) === 1 && product(b.shape.slice(0, -2)) === 1

/** Stacks of matrices of equal length, or one matrix for all on either side. */
const batchMatMul = (call: Call): TensorInfo => {
  const { machine, input, attributes, stock } = call
  const [a, b] = [input('a'), input('b')]
  const [transposeA, transposeB] = [attributes['transposeA'] === true, attributes['transposeB'] === true]
  const [left, right] = [stackOf(a), stackOf(b)]
  const outer = left.count >= right.count ? a.shape.slice(0, -2) : b.shape.slice(0, -2)
  const broadcasts = left.count !== right.count && left.count !== 1 && right.count !== 1
  if (broadcasts || isStockCase(a, b, transposeA || transposeB)) {
    return stock('BatchMatMul', { a, b }, { transposeA, transposeB })
  }
  const factor = transposeB ? swapped(call, b) : b
  const [m, k] = transposeA ? [left.columns, left.rows] : [left.rows, left.columns]
  const n = transposeB ? right.rows : right.columns
  const out = machine.output([...outer, m, n])
  const strides = transposeA ? [1, left.columns] : [left.columns, 1]
  const addresses = [a, factor, out].map(machine.address)
  const units = Math.max(left.count, right.count) * Math.ceil(m / 4)
  machine.call('matrixProduct', units, ...addresses, m, n, k, ...strides, left.step, right.step)
  if (transposeB) machine.free(factor)
  return out
}

export const matrixImplementations: Implementations = { BatchMatMul: batchMatMul }
