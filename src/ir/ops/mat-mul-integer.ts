import type { NoAttributes } from '../families/elementwise.ts'
import { integerMatrices, matrixSums } from '../families/integer-matrices.ts'
import { defineOp } from '../op.ts'
import { elements, tensorOf } from '../tensor.ts'

/** `Σ_k (a[m,k] - a_zero) · (b[k,n] - b_zero[n])` in int32, of 8-bit integers. */
export const MatMulInteger = defineOp<'MatMulInteger', NoAttributes>({
  name: 'MatMulInteger',
  versions: [10, Infinity],
  schema: {},
  ...integerMatrices<NoAttributes>({ x: { port: 0, zero: 2 }, weight: { port: 1, zero: 3 } }, () => 'int32'),
  evaluate: (ctx, [a, b, aZero, bZero]) => {
    const sums = a && b && matrixSums(ctx, [a, aZero], [b, bZero])
    return sums && [tensorOf('int32', sums.shape, elements(sums))]
  },
})
