import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../../attributes.ts'
import { centred, integerContraction, requantized } from '../../families/integer-products.ts'
import { dtypeOf } from '../../families/movement.ts'
import { shrinkContraction } from '../../families/rebuild.ts'
import { gatherOperands } from '../../gather-operands.ts'
import { countOf, inputShape, outputShape, sameIndex } from '../../links.ts'
import { type Contraction, defineOp, type NodeContext } from '../../op.ts'
import { numbersOf } from '../../evaluate.ts'
import { type Dense, materialize, tensorOf } from '../../tensor.ts'
import { isStatic, tensorType, unknownDim } from '../../type.ts'

interface QGemmAttributes {
  readonly alpha: number
  readonly transA: number
  readonly transB: number
}

/** Whether the sum is rounded to integers, and nothing is scaled or transposed that is not looked into. */
const isPlain = ({ attrs, node }: NodeContext<QGemmAttributes>): boolean =>
  attrs.alpha === 1 && attrs.transA === 0 && Boolean(node.inputs[7]) && Boolean(node.inputs[8])

const contraction = (ctx: NodeContext<QGemmAttributes>): Contraction | undefined =>
  !isPlain(ctx) || inputShape(ctx, 0)?.length !== 2 || inputShape(ctx, 3)?.length !== 2
    ? undefined
    : integerContraction(
        ctx,
        {
          x: { port: 0, scale: 1, zero: 2 },
          weight: { port: 3, scale: 4, zero: 5 },
          output: { scale: 7, zero: 8 },
          bias: 6,
        },
        {
          axis: 1,
          outputAxis: 1,
          weightOutputAxis: ctx.attrs.transB === 0 ? 1 : 0,
          weightInputAxis: ctx.attrs.transB === 0 ? 0 : 1,
          groups: 1,
          grouped: 'input',
          uniform: true,
          pointwise: true,
        },
      )

/**
 * `A B + C` of quantized matrices, rounded from multiples of `a_scale · b_scale` to those of `y_scale`. Ports: A, its scale and zero,
 * B, its scale and zero, C, scale and zero of y; without the last two the output is of real numbers.
 */
export const QGemm = defineOp<'com.microsoft.QGemm', QGemmAttributes>({
  name: 'com.microsoft.QGemm',
  versions: [1, 1],
  schema: { alpha: float(1), transA: int(0), transB: int(0) },
  inferTypes: (ctx) => {
    const [a, b] = [0, 3].map((port) => (ctx.inputs[port]?.kind === 'tensor' ? ctx.inputs[port].shape : undefined))
    const dtype = ctx.inputs[8] === undefined ? 'float32' : dtypeOf(ctx.inputs[8])
    if (dtype === undefined) return E.left('the element type of the output is unknown')
    if ((a !== undefined && a.length !== 2) || (b !== undefined && b.length !== 2)) {
      return E.left('an operand is not a matrix')
    }
    const [rows, summed] = ctx.attrs.transA === 0 ? [a?.[0], a?.[1]] : [a?.[1], a?.[0]]
    const [inner, columns] = ctx.attrs.transB === 0 ? [b?.[0], b?.[1]] : [b?.[1], b?.[0]]
    if (isStatic(summed) && isStatic(inner) && summed !== inner)
      return E.left(`A has ${summed} columns and B ${inner} rows`)
    const [name = ''] = ctx.outputNames
    return E.right([tensorType(dtype, [rows ?? unknownDim(name, 0), columns ?? unknownDim(name, 1)])])
  },
  links: (ctx) => {
    if (contraction(ctx) === undefined) return 'opaque'
    return isStatic(inputShape(ctx, 0)?.[0]) ? [sameIndex(0, 0, 0, 0)] : []
  },
  contraction,
  integers: ({ attrs }) => [
    { port: 0, scale: 1, zero: 2, axis: attrs.transA === 0 ? 0 : 1 },
    { port: 3, scale: 4, zero: 5, axis: attrs.transB === 0 ? 1 : 0 },
  ],
  // What C adds to all rows alike is a bias of one axis, which follows the columns.
  simplify: (ctx, fresh) => {
    const [c, columns] = [ctx.constant(6), outputShape(ctx)?.[1]]
    if (c === undefined || !isStatic(columns) || (c.shape.at(-2) ?? 1) !== 1) return undefined
    if (c.shape.length === 1 && c.shape[0] === columns) return undefined
    const addend = addendOf(materialize(c))
    const bias = Array.from({ length: columns }, (_, column) => addend(0, column))
    const name = fresh(ctx.node.inputs[6] ?? '')
    const inputs = ctx.node.inputs.map((input, port) => (port === 6 ? name : input))
    return { nodes: [{ ...ctx.node, inputs }], constants: new Map([[name, tensorOf(c.dtype, [columns], bias)]]) }
  },
  shrink: (s) => {
    const c = contraction(s)
    return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
  },
  evaluate: (ctx, [a, aScale, aZero, b, bScale, bZero, c, scale, zero]) => {
    if (!isPlain(ctx) || !a || !b || !aScale || !bScale || !scale || !zero) return undefined
    const columnAxis = ctx.attrs.transB === 0 ? 1 : 0
    const [as, bs] = [numbersOf(centred(a, aZero, 0)), numbersOf(centred(b, bZero, columnAxis))]
    const [rows = 0, depth = 0] = a.shape
    const columns = b.shape[columnAxis] ?? 0
    const addend = c && addendOf(c)
    const sums = new Float64Array(rows * columns)
    for (let at = 0; at < sums.length; at++) {
      const [m, n] = [Math.floor(at / columns), at % columns]
      let sum = addend?.(m, n) ?? 0
      for (let k = 0; k < depth; k++) {
        sum += (as[m * depth + k] ?? 0) * (bs[columnAxis === 1 ? k * columns + n : n * depth + k] ?? 0)
      }
      sums[at] = sum
    }
    const whole = tensorOf('float64', [rows, columns], sums)
    return [requantized(whole, [aScale, bScale, scale], zero, (place) => place % columns)]
  },
  macs: (ctx) =>
    countOf(outputShape(ctx)) *
    countOf(
      inputShape(ctx, 3)
        ?.slice(ctx.attrs.transB === 0 ? 0 : 1)
        .slice(0, 1),
    ),
})

/** What C, which is broadcast, adds to a row and column. */
const addendOf = (c: Dense): ((row: number, column: number) => number) => {
  const [height, width, values] = [c.shape.at(-2) ?? 1, c.shape.at(-1) ?? 1, numbersOf(c)]
  return (row, column) => values[(height === 1 ? 0 : row * width) + (width === 1 ? 0 : column)] ?? 0
}
