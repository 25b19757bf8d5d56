/** Operations on the columns of a matrix `[P, C]` with vectors of length C. */
import { invariant } from '../../../ir/failure.ts'
import type { Core, Tensor } from '../tensor.ts'
import type { BasicOps, ColumnOps } from './types.ts'

/** Composed of several passes. */
export const composedColumns = (ops: BasicOps): ColumnOps => {
  const columnSums = (rows: Tensor): Tensor => ops.sum(rows, [0], false)
  return {
    columnSums,
    columnMoments: (rows) => {
      const share = 1 / (rows.shape[0] ?? 1)
      const mean = ops.affine(columnSums(rows), share, 0)
      return [mean, ops.affine(columnSums(ops.unary('Square', ops.sub(rows, mean))), share, 0)]
    },
    scaleColumns: (rows, factor, term) => ops.add(ops.mul(rows, factor), term),
    columnProducts: (dy, rows, mean) => [columnSums(dy), columnSums(ops.mul(dy, ops.sub(rows, mean)))],
    combineColumns: (dy, rows, a, b, c) => ops.add(ops.add(ops.mul(dy, a), ops.mul(rows, b)), c),
  }
}

/** Our own kernels of the wasm backend, one pass each. */
export const ownColumns = (core: Core, ops: BasicOps): ColumnOps => {
  const engine = core.engine()
  const first = ([tensor]: ReadonlyArray<Tensor>): Tensor => {
    invariant(tensor !== undefined, 'a kernel without result')
    return tensor
  }
  const columnSums = (x: Tensor): Tensor => first(engine.runKernel<Tensor[]>('ColumnSums', { x }))
  return {
    columnSums,
    columnMoments: (x) => {
      const share = 1 / (x.shape[0] ?? 1)
      const mean = ops.affine(columnSums(x), share, 0)
      return [mean, ops.affine(first(engine.runKernel<Tensor[]>('ColumnSquares', { x, mean })), share, 0)]
    },
    scaleColumns: (x, factor, term) => engine.runKernel('ScaleColumns', { x, factor, term }),
    columnProducts: (dy, x, mean) => {
      const [sum, product] = engine.runKernel<Tensor[]>('ColumnProducts', { dy, x, mean })
      invariant(sum !== undefined && product !== undefined, 'ColumnProducts without results')
      return [sum, product]
    },
    combineColumns: (dy, x, a, b, c) => engine.runKernel('CombineColumns', { dy, x, a, b, c }),
  }
}
