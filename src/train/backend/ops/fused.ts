/** Operations that some backends have a kernel for and others are composed of several. */
import type { Core } from '../tensor.ts'
import { composedColumns, ownColumns } from './columns.ts'
import { tensorflowOps } from './tensorflow.ts'
import type { BasicOps, ColumnOps, FusedOps } from './types.ts'

export const fusedOps = (core: Core, ops: BasicOps, backend: string): FusedOps => {
  if (core.getKernel('ColumnSums', backend) !== undefined) return ownKernels(core, ops)
  return backend === 'tensorflow' ? { ...composedOps(ops), ...tensorflowOps(core, ops) } : composedOps(ops)
}

/** Composed of basic operations. */
export const composedOps = (ops: BasicOps): FusedOps => {
  const columns = composedColumns(ops)
  return {
    columnSums: columns.columnSums,
    scaleColumns: columns.scaleColumns,
    normalizeColumns: normalizing(ops, columns),
    reluGradient: (dy, y) => ops.mul(dy, ops.toFloat(ops.binary('Greater', y, ops.scalar(0)))),
    clipGradient: (dy, x, min, max) => {
      const above = ops.toFloat(ops.binary('Greater', x, ops.scalar(min)))
      const below = ops.toFloat(ops.binary('Less', x, ops.scalar(max)))
      return ops.mul(dy, ops.mul(above, below))
    },
  }
}

const ownKernels = (core: Core, ops: BasicOps): FusedOps => {
  const engine = core.engine()
  const columns = ownColumns(core, ops)
  return {
    columnSums: columns.columnSums,
    scaleColumns: columns.scaleColumns,
    normalizeColumns: normalizing(ops, columns),
    reluGradient: (dy, y) => engine.runKernel('ReluGradient', { dy, y }),
    clipGradient: (dy, x, min, max) =>
      engine.runKernel('ClipGradient', { dy, x, bounds: ops.tensor(Float32Array.of(min, max), [2]) }),
  }
}

/**
 * With `x̂ = (x - mean) · r`, `r = 1 / √(variance + ε)` and P rows: `dscale = Σ dy·x̂`, `dshift = Σ dy` and
 * `dx = scale · r · (dy - dshift / P - x̂ · dscale / P)`, which is `dy·a + x·b + c` for each column.
 */
const normalizing =
  (ops: BasicOps, columns: ColumnOps): FusedOps['normalizeColumns'] =>
  (x, scale, shift, epsilon) => {
    const rows = ops.reshape(x, [-1, scale.shape[0] ?? 1])
    const share = 1 / (rows.shape[0] ?? 1)
    const [mean, variance] = columns.columnMoments(rows)
    const r = ops.unary('Rsqrt', ops.affine(variance, 1, epsilon))
    const a = ops.mul(scale, r)
    return {
      y: ops.reshape(columns.scaleColumns(rows, a, ops.sub(shift, ops.mul(mean, a))), x.shape),
      mean,
      variance,
      saved: [rows, mean, r, a],
      gradient: (given) => {
        const dy = ops.reshape(given, rows.shape)
        const [dshift, product] = columns.columnProducts(dy, rows, mean)
        const dscale = ops.mul(product, r)
        const b = ops.affine(ops.mul(a, ops.mul(r, dscale)), -share, 0)
        const c = ops.sub(ops.affine(ops.mul(a, dshift), -share, 0), ops.mul(b, mean))
        return [ops.reshape(columns.combineColumns(dy, rows, a, b, c), x.shape), dscale, dshift]
      },
    }
  }
