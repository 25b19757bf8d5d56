import * as E from 'fp-ts/lib/Either.js'
import { composition } from '../../families/composition.ts'
import type { NoAttributes } from '../../families/elementwise.ts'
import { columnsOperand } from '../../families/integer-matrices.ts'
import { scaledProduct } from '../../families/scaled-integers.ts'
import { defineOp } from '../../op.ts'
import { DynamicQuantizeLinear } from '../dynamic-quantize-linear.ts'

/** `A B + bias` of real numbers A, which are rounded to integers by their range, and integers B. Ports: A, B, its scale and zero, bias. */
export const DynamicQuantizeMatMul = defineOp<'com.microsoft.DynamicQuantizeMatMul', NoAttributes>({
  ...composition<'com.microsoft.DynamicQuantizeMatMul', NoAttributes>(
    'com.microsoft.DynamicQuantizeMatMul',
    [1, 1],
    {},
    (p) => {
      const [value = '', scale = '', zero = ''] = p.outputs(DynamicQuantizeLinear, [p.input(0)], 3)
      const b = { value: p.input(1), scale: p.input(2), zero: p.input(3) }
      return E.right([scaledProduct(p, { value, scale, zero }, b, p.input(4))])
    },
  ),
  integers: (ctx) => [columnsOperand(ctx, { port: 1, scale: 2, zero: 3 })],
})
