import type { NoAttributes } from '../families/elementwise.ts'
import { integerMatrices, matrixSums } from '../families/integer-matrices.ts'
import { requantized } from '../families/integer-products.ts'
import { dtypeOf } from '../families/movement.ts'
import { defineOp } from '../op.ts'

/**
 * A product of quantized matrices, rounded from multiples of `a_scale · b_scale` to those of `y_scale`. Ports: a, its scale and zero,
 * b, its scale and zero, scale and zero of y. There is no bias: a constant channel that is no zero stays.
 */
export const QLinearMatMul = defineOp<'QLinearMatMul', NoAttributes>({
  name: 'QLinearMatMul',
  versions: [10, Infinity],
  schema: {},
  ...integerMatrices<NoAttributes>(
    { x: { port: 0, scale: 1, zero: 2 }, weight: { port: 3, scale: 4, zero: 5 }, output: { scale: 6, zero: 7 } },
    (ctx) => dtypeOf(ctx.inputs[7]),
  ),
  evaluate: (ctx, [a, aScale, aZero, b, bScale, bZero, scale, zero]) => {
    if (!a || !b || !aScale || !bScale || !scale || !zero) return undefined
    const isOne = [aScale, scale, zero].every(({ bytes, shape }) => bytes.length > 0 && shape.every((d) => d === 1))
    const sums = isOne ? matrixSums(ctx, [a, aZero], [b, bZero]) : undefined
    const columns = b.shape.at(-1) ?? 1
    return sums && [requantized(sums, [aScale, bScale, scale], zero, (place) => place % columns)]
  },
})
