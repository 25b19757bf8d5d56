/** What MatMulInteger, QLinearMatMul and QGemm share: a product of matrices of integers, of which the right one may be a weight. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../dtype.ts'
import { gatherOperands } from '../gather-operands.ts'
import { inputShape, outputShape, sameIndex } from '../links.ts'
import type { AxisLink, Contraction, InferContext, IntegerOperand, NodeContext, OpDef } from '../op.ts'
import { MatMul, matrixMacs } from '../ops/mat-mul.ts'
import type { Dense } from '../tensor.ts'
import { isStatic, type Shape, tensorType, type ValueType } from '../type.ts'
import { centred, integerContraction, type IntegerProduct } from './integer-products.ts'
import { shrinkContraction } from './rebuild.ts'

type Shared = 'inferTypes' | 'links' | 'contraction' | 'integers' | 'shrink' | 'macs'

/** The answers of a product of matrices on the ports of `product`, its output of the type that `target` says. */
export const integerMatrices = <A>(
  product: IntegerProduct,
  target: (ctx: InferContext<A>) => DType | undefined,
): Required<Pick<OpDef<string, A>, Shared>> => {
  const [left, right] = [product.x.port, product.weight.port]
  const contraction = (ctx: NodeContext<A>): Contraction | undefined => {
    const [a, b, y] = [inputShape(ctx, left), inputShape(ctx, right), outputShape(ctx)]
    if (a === undefined || b?.length !== 2 || y === undefined || a.length < 2) return undefined
    return integerContraction(ctx, product, {
      axis: a.length - 1,
      outputAxis: y.length - 1,
      weightOutputAxis: 1,
      weightInputAxis: 0,
      groups: 1,
      grouped: 'input',
      uniform: true,
      pointwise: true,
    })
  }
  return {
    inferTypes: (ctx) => {
      const made = MatMul.inferTypes({
        ...ctx,
        attrs: {},
        inputs: [ofFloats(ctx.inputs[left]), ofFloats(ctx.inputs[right])],
      })
      const dtype = target(ctx)
      if (E.isLeft(made)) return made
      const [type] = made.right
      if (dtype === undefined || type?.kind !== 'tensor') return E.left('the element type of the output is unknown')
      return E.right([tensorType(dtype, type.shape)])
    },
    links: (ctx) => {
      const c = contraction(ctx)
      const [a, y] = [inputShape(ctx, left), outputShape(ctx)]
      if (c === undefined || a === undefined || y === undefined) return 'opaque'
      const isRow = ([size, axis]: readonly [Shape[number], number]): boolean => isStatic(size) && size === y[axis]
      const rows = a.slice(0, -1).map((size, axis) => [size, axis] as const)
      return rows.filter(isRow).map(([, axis]): AxisLink => sameIndex(left, axis, 0, axis))
    },
    contraction,
    integers: (ctx) => [rowsOperand(ctx, product.x), columnsOperand(ctx, product.weight)],
    shrink: (s) => {
      const c = contraction(s)
      return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
    },
    macs: (ctx) => matrixMacs(ctx, left, right),
  }
}

/** The left operand of a product of matrices: there may be a scale and a zero for each row. */
export const rowsOperand = (ctx: NodeContext<unknown>, operand: IntegerOperand): IntegerOperand => ({
  ...operand,
  axis: axisFromBehind(ctx, operand.port, 2),
})

/** The right one: there may be a scale and a zero for each column. */
export const columnsOperand = (ctx: NodeContext<unknown>, operand: IntegerOperand): IntegerOperand => ({
  ...operand,
  axis: axisFromBehind(ctx, operand.port, 1),
})

const axisFromBehind = (ctx: NodeContext<unknown>, port: number, count: number): number | undefined => {
  const rank = inputShape(ctx, port)?.length ?? 0
  return rank < count ? undefined : rank - count
}

const ofFloats = (type: ValueType | undefined): ValueType | undefined =>
  type?.kind === 'tensor' ? tensorType('float64', type.shape) : type

/** The sums of products by definition, float64; zeros of a matrix are one number, or one for each row of the left, column of the right. */
export const matrixSums = (
  ctx: NodeContext<unknown>,
  [a, aZero]: readonly [Dense, Dense | undefined],
  [b, bZero]: readonly [Dense, Dense | undefined],
): Dense | undefined => {
  const [left, right] = [centred(a, aZero, a.shape.length - 2), centred(b, bZero, b.shape.length - 1)]
  const inputs = [left, right]
  const node = { ...ctx.node, op: 'MatMul' as const, attrs: {}, inputs: ['a', 'b'] }
  const types = inputs.map(({ dtype, shape }) => tensorType(dtype, shape))
  return MatMul.evaluate?.({ ...ctx, attrs: {}, node, inputs: types, constant: () => undefined }, inputs)?.[0]
}
