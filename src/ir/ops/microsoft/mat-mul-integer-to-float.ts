import * as E from 'fp-ts/lib/Either.js'
import { composition } from '../../families/composition.ts'
import type { NoAttributes } from '../../families/elementwise.ts'
import { columnsOperand, rowsOperand } from '../../families/integer-matrices.ts'
import { scaledProduct } from '../../families/scaled-integers.ts'
import { defineOp } from '../../op.ts'

/** `A B + bias` of integers, as real numbers. Ports: A, B, their scales, what stands for zero in each, bias. */
export const MatMulIntegerToFloat = defineOp<'com.microsoft.MatMulIntegerToFloat', NoAttributes>({
  ...composition<'com.microsoft.MatMulIntegerToFloat', NoAttributes>(
    'com.microsoft.MatMulIntegerToFloat',
    [1, 1],
    {},
    (p) => {
      const a = { value: p.input(0), scale: p.input(2), zero: p.input(4) }
      const b = { value: p.input(1), scale: p.input(3), zero: p.input(5) }
      return E.right([scaledProduct(p, a, b, p.input(6))])
    },
  ),
  integers: (ctx) => [
    rowsOperand(ctx, { port: 0, scale: 2, zero: 4 }),
    columnsOperand(ctx, { port: 1, scale: 3, zero: 5 }),
  ],
})
