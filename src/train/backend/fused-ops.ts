/** Operations that are one pass over memory each where a backend has a kernel of ours, else composed of several. */
import type { Core, Tensor } from './backend.ts'
import type { BasicOps } from './device-ops.ts'

/** `rows` is a matrix `[P, C]`; vectors have length C. */
export interface FusedOps {
  /** Sum of every column. */
  readonly columnSums: (rows: Tensor) => Tensor
  /** Mean and population variance of every column. */
  readonly columnMoments: (rows: Tensor) => readonly [mean: Tensor, variance: Tensor]
  /** `rows · factor + term`, column by column. */
  readonly scaleColumns: (rows: Tensor, factor: Tensor, term: Tensor) => Tensor
  /** Column sums of `dy` and of `dy · (rows - mean)`. */
  readonly columnProducts: (dy: Tensor, rows: Tensor, mean: Tensor) => readonly [sum: Tensor, product: Tensor]
  /** `dy · a + rows · b + c`, column by column. */
  readonly combineColumns: (dy: Tensor, rows: Tensor, a: Tensor, b: Tensor, c: Tensor) => Tensor
  /** `dy` where `y` is positive, else 0. */
  readonly reluGradient: (dy: Tensor, y: Tensor) => Tensor
}

export const fusedOps = (_core: Core, ops: BasicOps, _backend: string): FusedOps => {
  const columnSums = (rows: Tensor): Tensor => ops.sum(rows, [0], false)
  return {
    columnSums,
    columnMoments: (rows) => {
      const count = 1 / (rows.shape[0] ?? 1)
      const mean = ops.affine(columnSums(rows), count, 0)
      return [mean, ops.affine(columnSums(ops.unary('Square', ops.sub(rows, mean))), count, 0)]
    },
    scaleColumns: (rows, factor, term) => ops.add(ops.mul(rows, factor), term),
    columnProducts: (dy, rows, mean) => [columnSums(dy), columnSums(ops.mul(dy, ops.sub(rows, mean)))],
    combineColumns: (dy, rows, a, b, c) => ops.add(ops.add(ops.mul(dy, a), ops.mul(rows, b)), c),
    reluGradient: (dy, y) => ops.mul(dy, ops.toFloat(ops.binary('Greater', y, ops.scalar(0)))),
  }
}
