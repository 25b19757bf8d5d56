import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { broadcastStatic, generate, numbersOf } from '../evaluate.ts'
import {
  changesBias,
  heldShiftRefused,
  otherOperands,
  rebias,
  rebiasHeld,
  shrinkContraction,
} from '../families/rebuild.ts'
import { gatherOperands, replaceOperands } from '../gather-operands.ts'
import { sharedDtype, unknownShape } from '../infer.ts'
import { broadcastLinks, countOf, inputShape, mayReach, outputShape, sameIndex, shapeOf } from '../links.ts'
import type { Refusal } from '../numerics.ts'
import { type AxisLink, type Contraction, defineOp, type NodeContext, type Rebuilding } from '../op.ts'
import { sliceConstants, uniformValue } from '../slices.ts'
import { type Dense, gather, materialize, type Tensor } from '../tensor.ts'
import { isStatic, tensorType } from '../type.ts'

export interface GemmAttributes {
  readonly alpha: number
  readonly beta: number
  readonly transA: number
  readonly transB: number
}

/** Axes of the rows and the summed axis of operand A, of the summed axis and the columns of operand B. */
const matrixAxes = (attrs: GemmAttributes) => {
  const [a, b] = [attrs.transA !== 0 ? 1 : 0, attrs.transB !== 0 ? 1 : 0]
  return { rows: a, summedA: 1 - a, summedB: b, columns: 1 - b }
}

/** `y = alpha · A' B' + beta · C`, `A'[M,K]` and `B'[K,N]` transposed where asked, C broadcast to `[M,N]` or absent. */
export const Gemm = defineOp<'Gemm', GemmAttributes>({
  name: 'Gemm',
  versions: [7, Infinity],
  schema: { alpha: float(1), beta: float(1), transA: int(0), transB: int(0) },
  inferTypes: (ctx) => {
    const dtype = sharedDtype(ctx, [0, 1, 2])
    if (E.isLeft(dtype)) return dtype
    const at = matrixAxes(ctx.attrs)
    const [a, b] = [shapeOf(ctx.inputs[0]), shapeOf(ctx.inputs[1])]
    if ((a ?? b)?.length !== 2 && (a ?? b) !== undefined) return E.left('an operand is not a matrix')
    if (b !== undefined && b.length !== 2) return E.left('operand B is not a matrix')
    const [k, l] = [a?.[at.summedA], b?.[at.summedB]]
    if (isStatic(k) && isStatic(l) && k !== l) return E.left(`A has ${k} columns and B ${l} rows`)
    const [m, n] = unknownShape(ctx.outputNames[0] ?? '', 2)
    const [rows, columns] = [a?.[at.rows] ?? m, b?.[at.columns] ?? n]
    return E.right([tensorType(dtype.right, rows === undefined || columns === undefined ? undefined : [rows, columns])])
  },
  links: (ctx) => {
    const at = matrixAxes(ctx.attrs)
    const [a, b] = [inputShape(ctx, 0), inputShape(ctx, 1)]
    const links: AxisLink[] = []
    if (isStatic(a?.[at.rows]) && !mayReach(ctx, 2, 0)) links.push(sameIndex(0, at.rows, 0, 0))
    const c = contraction(ctx)
    const isFollowed = c === undefined && isStatic(b?.[at.columns]) && !mayReach(ctx, 2, 1)
    if (isFollowed) links.push(sameIndex(1, at.columns, 0, 1))
    // The columns of a constant C are selected together with those of a constant B.
    const follows = (link: AxisLink): boolean =>
      link.outputAxis === 0 || c === undefined || ctx.constant(2) === undefined
    return [...links, ...broadcastLinks(ctx, [2]).filter(follows)]
  },
  contraction: (ctx) => contraction(ctx),
  shrink: (s) => {
    const c = contraction(s)
    return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
  },
  evaluate: (ctx, [a, b, c]) => {
    if (!a || !b || !isFloat(a.dtype)) return undefined
    const at = matrixAxes(ctx.attrs)
    const [rows, columns, depth] = [a.shape[at.rows] ?? 0, b.shape[at.columns] ?? 0, a.shape[at.summedA] ?? 0]
    if (c !== undefined && broadcastStatic([c.shape, [rows, columns]])?.length !== 2) return undefined
    const [as, bs, cs] = [numbersOf(a), numbersOf(b), c && numbersOf(c)]
    const place = (tensor: Dense, i: number, j: number): number => i * (tensor.shape[1] ?? 0) + j
    return [
      generate(a.dtype, [rows, columns], (index) => {
        const [m = 0, n = 0] = index
        let sum = 0
        for (let k = 0; k < depth; k++) {
          const x = as[at.rows === 0 ? place(a, m, k) : place(a, k, m)] ?? 0
          const w = bs[at.columns === 1 ? place(b, k, n) : place(b, n, k)] ?? 0
          sum += x * w
        }
        if (c === undefined || cs === undefined || ctx.attrs.beta === 0) return ctx.attrs.alpha * sum
        return ctx.attrs.alpha * sum + ctx.attrs.beta * (cs[placeInC(c.shape, m, n)] ?? 0)
      }),
    ]
  },
  macs: (ctx) =>
    countOf(outputShape(ctx)) * countOf(inputShape(ctx, 1)?.slice(matrixAxes(ctx.attrs).summedB).slice(0, 1)),
})

/** Where element (m, n) of a C that broadcasts to two axes is. */
const placeInC = (shape: ReadonlyArray<number>, m: number, n: number): number => {
  const columns = shape[shape.length - 1] ?? 1
  const row = shape.length === 2 && shape[0] !== 1 ? m : 0
  return row * columns + (columns === 1 ? 0 : n)
}

/** Whether C has a part in the result. */
const addsC = (ctx: NodeContext<GemmAttributes>): boolean => Boolean(ctx.node.inputs[2]) && ctx.attrs.beta !== 0

const contraction = (ctx: NodeContext<GemmAttributes>): Contraction | undefined => {
  const weight = ctx.constant(1)
  if (weight === undefined || !isFloat(weight.dtype) || mayReach(ctx, 2, 1)) return undefined
  const at = matrixAxes(ctx.attrs)
  const c = ctx.constant(2)
  return {
    port: 0,
    axis: at.summedA,
    outputAxis: 1,
    weightPort: 1,
    weightOutputAxis: at.columns,
    weightInputAxis: at.summedB,
    groups: 1,
    grouped: 'input',
    uniform: true,
    pointwise: true,
    sampling: [],
    payable: !addsC(ctx) || c !== undefined,
    admits: heldShiftRefused(addsC(ctx) ? c : undefined),
    bias: (o) => {
      if (!addsC(ctx)) return 0
      const value = c && columnConstant(c, o)
      return value === undefined ? undefined : ctx.attrs.beta * value
    },
    biasSize: (o) => {
      if (!addsC(ctx)) return 0
      return c === undefined ? Infinity : Math.abs(ctx.attrs.beta) * columnSize(c, o)
    },
    scale: ctx.attrs.alpha,
    rebuild: (change, names) => {
      const operands = otherOperands(ctx, change, [1, 2])
      if (change.weight !== weight) operands.set(1, change.weight)
      if (changesBias(change, addsC(ctx)) && addsC(ctx) && c === undefined) return E.left('its bias is computed')
      const heldC = c?.tag === 'Held' && c.shape.length === 1 && ctx.attrs.beta === 1 && addsC(ctx) ? c : undefined
      const kept = c && addsC(ctx) ? keptC(c, change) : undefined
      const next = changesBias(change, addsC(ctx))
        ? heldC === undefined
          ? rebiasC(kept, ctx, change, weight)
          : rebiasHeld(heldC, change)
        : E.right(kept)
      if (E.isLeft(next)) return next
      if (next.right !== undefined && next.right !== c) operands.set(2, next.right)
      const beta = changesBias(change, addsC(ctx)) ? 1 : ctx.attrs.beta
      // A C that takes no part may have columns that are no more.
      const inputs = addsC(ctx) ? change.node.inputs : change.node.inputs.slice(0, 2)
      const node = { ...ctx.node, ...change.node, inputs, attrs: { ...ctx.attrs, beta: addsC(ctx) ? beta : 1 } }
      return E.right(replaceOperands(node, operands, names, `${ctx.node.inputs[1] ?? ''}_bias`))
    },
  }
}

/** The number that C adds to all of column `o`, if it is one. */
const columnConstant = (c: Tensor, o: number): number | undefined => {
  const last = c.shape.length - 1
  if ((c.shape[last] ?? 1) === 1) return uniformValue(c)
  const value = sliceConstants(c, last)[o] ?? NaN
  return Number.isNaN(value) ? undefined : value
}

/** The largest magnitude in column `o` of C. */
const columnSize = (c: Tensor, o: number): number => {
  const values = numbersOf(materialize(c))
  const columns = c.shape[c.shape.length - 1] ?? 1
  let size = 0
  for (let at = columns === 1 ? 0 : o; at < values.length; at += columns)
    size = Math.max(size, Math.abs(values[at] ?? 0))
  return size
}

/** What stays of a constant C for the kept columns and rows. */
const keptC = (c: Tensor, { outputs, operand }: Rebuilding): Tensor => {
  const rows = operand?.(2, c) ?? c
  const last = c.shape.length - 1
  return outputs === undefined || (c.shape[last] ?? 1) === 1 ? rows : gather(rows, last, outputs)
}

/** A C of a Gemm whose beta is 1, that adds `factor · beta · C + shift` to the columns. */
const rebiasC = (
  c: Tensor | undefined,
  ctx: NodeContext<GemmAttributes>,
  change: Rebuilding,
  weight: Tensor,
): E.Either<Refusal, Tensor> => {
  const columns = change.weight.shape[matrixAxes(ctx.attrs).columns] ?? 0
  const values = c && addsC(ctx) ? numbersOf(materialize(c)) : undefined
  const shape = c && values ? [...c.shape.slice(0, -1), columns] : [columns]
  let refusal: Refusal | undefined
  const next = generate(weight.dtype, shape, (index) => {
    const [row, column] = shape.length === 2 ? [index[0] ?? 0, index[1] ?? 0] : [0, index[0] ?? 0]
    const old = c && values ? ctx.attrs.beta * (values[placeInC(c.shape, row, column)] ?? 0) : 0
    const value = rebias(old, column, change, weight.dtype)
    if (E.isLeft(value)) refusal ??= value.left
    return E.isRight(value) ? value.right : NaN
  })
  return refusal === undefined ? E.right(next) : E.left(refusal)
}
