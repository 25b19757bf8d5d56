import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../dtype.ts'
import { broadcastStatic, generate, numbersOf, stridesOf } from '../evaluate.ts'
import { isReal, type NoAttributes } from '../families/elementwise.ts'
import { changesBias, otherOperands, rebiased, shrinkContraction } from '../families/rebuild.ts'
import { gatherOperands, replaceOperands } from '../gather-operands.ts'
import { broadcastShapes, sharedDtype } from '../infer.ts'
import { countOf, inputShape, outputShape, sameIndex, shapeOf } from '../links.ts'
import { makeNode } from '../make-node.ts'
import { type AxisLink, type Contraction, defineOp, type NodeContext, type SliceFact } from '../op.ts'
import { tensorOf } from '../tensor.ts'
import { type Dim, isStatic, type Shape, tensorType } from '../type.ts'
import { Add } from './add.ts'

/**
 * Matrix product over the last two axes, leading axes broadcast. An operand of rank 1 is a row on the left and a column on
 * the right. With one constant matrix it is a contraction; constant channels are paid for by an Add after it.
 */
export const MatMul = defineOp<'MatMul', NoAttributes>({
  name: 'MatMul',
  versions: [1, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const dtype = sharedDtype(ctx, [0, 1])
    if (E.isLeft(dtype)) return dtype
    const [a, b] = [shapeOf(ctx.inputs[0]), shapeOf(ctx.inputs[1])]
    if (a === undefined || b === undefined) return E.right([tensorType(dtype.right, undefined)])
    if (a.length === 0 || b.length === 0) return E.left('an operand is a scalar')
    const [k, l] = [a[a.length - 1], b[b.length === 1 ? 0 : b.length - 2]]
    if (isStatic(k) && isStatic(l) && k !== l) return E.left(`the left operand has ${k} columns, the right ${l} rows`)
    const leading = broadcastShapes([a.slice(0, -2), b.slice(0, -2)], ctx.outputNames[0] ?? '')
    if (E.isLeft(leading)) return leading
    return E.right([tensorType(dtype.right, [...leading.right, ...a.slice(0, -1).slice(-1), ...last(b)])])
  },
  links: (ctx) => {
    const [a, b, y] = [inputShape(ctx, 0), inputShape(ctx, 1), outputShape(ctx)]
    if (a === undefined || b === undefined || y === undefined) return []
    const c = contraction(ctx)
    const links: AxisLink[] = []
    const link = (port: number, axis: number, size: Dim | undefined, to: number): void => {
      if (isStatic(size) && size === y[to]) links.push(sameIndex(port, axis, 0, to))
    }
    const leading = Math.max(0, a.length - 2, b.length - 2)
    // Leading axes that an operand of unknown size may be as long as.
    const unknown = new Set<number>()
    ;[a, b].forEach((shape, port) => {
      const first = leading - (shape.length - 2)
      shape.slice(0, -2).forEach((size, axis) => {
        if (!isStatic(size)) unknown.add(first + axis)
        link(port, axis, size, first + axis)
      })
    })
    if (a.length >= 2 && c?.weightPort !== 0) link(0, a.length - 2, a[a.length - 2], leading)
    if (b.length >= 2 && c?.weightPort !== 1) link(1, b.length - 1, b[b.length - 1], y.length - 1)
    return links.filter(({ outputAxis }) => !unknown.has(outputAxis))
  },
  contraction: (ctx) => contraction(ctx),
  pairs: (ctx) => {
    const [a, b] = [inputShape(ctx, 0), inputShape(ctx, 1)]
    if (a === undefined || b === undefined || a.length < 2 || b.length < 2) return []
    const axes = [a.length - 1, b.length - 2] as const
    const isKnown = isStatic(a[axes[0]]) && a[axes[0]] === b[axes[1]]
    if (!isKnown || (ctx.constant(0) !== undefined && ctx.constant(1) !== undefined)) return []
    const rank = Math.max(a.length, b.length)
    return [{ ports: [0, 1], axes, own: [rank - 2, rank - 1] }]
  },
  // Between computed operands: whatever a slice of zeros is multiplied with, and the mean of equal numbers.
  constant: (ctx, [a, b]) => {
    if (!isReal(ctx)) return undefined
    return a === 0 || b === 0 ? 0 : averaged(ctx, a, b)
  },
  accurateTo: (ctx, [a, b]) => {
    const depth = inputShape(ctx, 0)?.at(-1)
    // Weights that add up to 1 do so to a rounding error of each, which mostly cancel.
    return Math.abs(averaged(ctx, a, b) ?? 0) * 4 * Math.sqrt(isStatic(depth) ? depth : 2 ** 14)
  },
  shrink: (s) => {
    const c = contraction(s)
    return c === undefined ? gatherOperands(s) : shrinkContraction(s, c)
  },
  evaluate: (_ctx, [a, b]) => {
    if (!a || !b || !isFloat(a.dtype)) return undefined
    const [left, right] = [
      a.shape.length === 1 ? [1, ...a.shape] : a.shape,
      b.shape.length === 1 ? [...b.shape, 1] : b.shape,
    ]
    const leading = broadcastStatic([left.slice(0, -2), right.slice(0, -2)])
    if (leading === undefined) return undefined
    const [rows, depth, columns] = [
      left[left.length - 2] ?? 0,
      left[left.length - 1] ?? 0,
      right[right.length - 1] ?? 0,
    ]
    const [as, bs] = [numbersOf(a), numbersOf(b)]
    const [startA, startB] = [starts(left, leading.length), starts(right, leading.length)]
    const product = generate(a.dtype, [...leading, rows, columns], (index) => {
      const [m, n] = [index[leading.length] ?? 0, index[leading.length + 1] ?? 0]
      const [fromA, fromB] = [startA(index) + m * depth, startB(index) + n]
      let sum = 0
      for (let k = 0; k < depth; k++) sum += (as[fromA + k] ?? 0) * (bs[fromB + k * columns] ?? 0)
      return sum
    })
    const shape = [...leading, ...a.shape.slice(0, -1).slice(-1), ...last(b.shape).map(Number)]
    return [{ ...product, shape }]
  },
  macs: (ctx) => matrixMacs(ctx, 0, 1),
})

/**
 * Multiply-accumulates of the product of the matrices on two ports; symbolic sizes count as 1. What is summed over is as long as either
 * matrix says: the other one may be reshaped from sizes that are open.
 */
export const matrixMacs = (ctx: NodeContext<unknown>, left: number, right: number): number => {
  const [a, b] = [inputShape(ctx, left), inputShape(ctx, right)]
  const summed = [a?.at(-1), b?.at(b.length === 1 ? 0 : -2)].find((size) => isStatic(size)) ?? 1
  return a === undefined ? 0 : countOf(outputShape(ctx)) * summed
}

/** The number that a slice holds everywhere, where the other operand's weights of it add up to 1. */
const averaged = (ctx: NodeContext<NoAttributes>, a: SliceFact, b: SliceFact): number | undefined => {
  const [left, right] = [inputShape(ctx, 0)?.length ?? 0, inputShape(ctx, 1)?.length ?? 0]
  if (left < 2 || right < 2) return undefined
  if (typeof b === 'number' && ctx.sumsToOne?.(0) === left - 1) return b
  return typeof a === 'number' && ctx.sumsToOne?.(1) === right - 2 ? a : undefined
}

/** The columns of the right operand, which a vector does not have. */
const last = (b: Shape): Shape => (b.length === 1 ? [] : b.slice(-1))

/** Where the matrix for an index of the broadcast leading axes starts. */
const starts = (shape: ReadonlyArray<number>, leading: number): ((index: Int32Array) => number) => {
  const strides = stridesOf(shape)
  const first = leading - (shape.length - 2)
  return (index) => {
    let at = 0
    for (let a = 0; a < shape.length - 2; a++) if (shape[a] !== 1) at += (index[first + a] ?? 0) * (strides[a] ?? 0)
    return at
  }
}

const contraction = (ctx: NodeContext<NoAttributes>): Contraction | undefined => {
  const [a, b, y] = [inputShape(ctx, 0), inputShape(ctx, 1), outputShape(ctx)]
  if (a === undefined || b === undefined || y === undefined || a.length < 2 || b.length < 2) return undefined
  const isWeight = (port: number): boolean => {
    const tensor = ctx.constant(port)
    return tensor !== undefined && tensor.shape.length === 2 && isFloat(tensor.dtype)
  }
  const weightPort = isWeight(1) ? 1 : isWeight(0) ? 0 : undefined
  const weight = ctx.constant(weightPort ?? 0)
  if (weightPort === undefined || weight === undefined) return undefined
  const right = weightPort === 1
  const unbiased = ctx.opset < Add.versions[0] ? `Add takes no bias before opset ${Add.versions[0]}` : undefined
  return {
    port: 1 - weightPort,
    axis: right ? a.length - 1 : b.length - 2,
    outputAxis: right ? y.length - 1 : y.length - 2,
    weightPort,
    weightOutputAxis: right ? 1 : 0,
    weightInputAxis: right ? 0 : 1,
    groups: 1,
    grouped: 'input',
    uniform: true,
    pointwise: true,
    sampling: [],
    payable: true,
    admits: () =>
      weight.tag === 'Held' ? 'a bias behind a product of integers keeps a runtime from multiplying these' : unbiased,
    bias: () => 0,
    biasSize: () => 0,
    scale: 1,
    rebuild: (change, names) => {
      const operands = otherOperands(ctx, change, [weightPort])
      if (change.weight !== weight) operands.set(weightPort, change.weight)
      const node = { ...ctx.node, ...change.node }
      if (!changesBias(change, false)) return E.right(replaceOperands(node, operands, names))
      if (unbiased !== undefined) return E.left(unbiased)
      const count = change.weight.shape[right ? 1 : 0] ?? 0
      const bias = rebiased(count, () => 0, change, weight.dtype)
      if (E.isLeft(bias)) return bias
      const product = names.fresh(`${node.outputs[0] ?? ''}_product`)
      const rebuilt = replaceOperands({ ...node, outputs: [product] }, operands, names)
      const name = names.fresh(`${ctx.node.inputs[weightPort] ?? ''}_bias`)
      const shape = right ? [count] : [count, 1]
      return E.right({
        nodes: [...rebuilt.nodes, makeNode(Add, [product, name], node.outputs)],
        constants: new Map([...rebuilt.constants, [name, tensorOf(weight.dtype, shape, bias.right)]]),
      })
    },
  }
}
