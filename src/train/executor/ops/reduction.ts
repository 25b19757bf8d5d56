/** Operators that summarise whole axes. */
import * as E from 'fp-ts/lib/Either.js'
import type { OpDef } from '../../../ir/op.ts'
import type { ReductionAttributes } from '../../../ir/families/reduction.ts'
import * as ir from '../../../ir/ops/index.ts'
import { integersOf } from '../../../ir/tensor.ts'
import { normalizeAxis } from '../../../ir/type.ts'
import type { Tensor } from '../../backend/tensor.ts'
import type { DeviceOps } from '../../backend/ops/types.ts'
import { keepsElements, onnxOrder, storedShape } from '../layout.ts'
import { fixed, layoutOr, type Lowering, lowering, oneToOne, type Site } from '../lowering.ts'
import { axesTo } from '../broadcasting.ts'

/** Both keep the reduced axes with size 1; `count` is how many elements become one. */
interface Summary {
  readonly y: (k: DeviceOps, x: Tensor, axes: ReadonlyArray<number>, count: number) => Tensor
  /** `y` broadcasts against `x`. */
  readonly dx: (k: DeviceOps, dy: Tensor, x: Tensor, y: Tensor, axes: ReadonlyArray<number>, count: number) => Tensor
}

const reducedAxes = (site: Site<ReductionAttributes>): ReadonlyArray<number> | undefined => {
  const rank = site.shapeOf(0).length
  const tensor = site.constant(1)
  if (site.inputs[1] !== undefined && tensor === undefined) return undefined
  const axes = tensor === undefined ? (site.attrs.axes ?? []) : (integersOf(tensor) ?? [])
  if (axes.length > 0) return axes.flatMap((axis) => normalizeAxis(axis, rank) ?? [])
  return site.attrs.noop_with_empty_axes === 0 ? onnxOrder(rank) : []
}

const reduction = <Name extends string>(op: OpDef<Name, ReductionAttributes>, { y, dx }: Summary): Lowering =>
  lowering(op, (site) => {
    const k = site.ops
    const reduced = reducedAxes(site)
    if (reduced === undefined) return E.left(`${op.name} over computed axes`)
    if (reduced.length === 0) return E.left(`${op.name} over no axis`)
    const shape = site.shapeOf(0)
    const layout = layoutOr(site, 0)
    const axes = axesTo(reduced, layout)
    const count = reduced.reduce((n, axis) => n * (shape[axis] ?? 1), 1)
    const kept = storedShape(shape, layout).map((size, axis) => (axes.includes(axis) ? 1 : size))
    const output = site.outputShape()
    // Without the reduced axes the others keep their order among themselves or go back to ONNX's.
    const stays = output.length === shape.length
    const rest = layout.filter((axis) => !reduced.includes(axis))
    const order = [...rest.keys()].sort((a, b) => (rest[a] ?? 0) - (rest[b] ?? 0))
    const restShape = rest.map((axis) => shape[axis] ?? 1)
    const free = keepsElements(restShape, order)
    const back = order.map((_, axis) => order.indexOf(axis))
    const leave = (full: Tensor): Tensor => {
      if (stays) return full
      const without = k.reshape(full, restShape)
      return free ? k.reshape(without, output) : k.transpose(without, order)
    }
    const restore = (small: Tensor): Tensor => k.reshape(stays || free ? small : k.transpose(small, back), kept)
    return E.right(
      oneToOne(
        layout,
        stays ? layout : onnxOrder(output.length),
        (x) => leave(y(k, x, axes, count)),
        (dy, x, result) => dx(k, restore(dy), x, restore(result), axes, count),
        [fixed],
      ),
    )
  })

/** `dy` for every element that went into it. */
const spread = (k: DeviceOps, dy: Tensor, x: Tensor): Tensor => k.mul(dy, k.affine(x, 0, 1))

/** The gradient goes to the extreme elements in equal parts. */
const toExtremes: Summary['dx'] = (k, dy, x, y, axes) => {
  const hits = k.toFloat(k.binary('Equal', x, y))
  return k.mul(hits, k.div(dy, k.sum(hits, axes, true)))
}

const sum: Summary['y'] = (k, x, axes) => k.sum(x, axes, true)

export const reductions: ReadonlyArray<Lowering> = [
  reduction(ir.ReduceSum, { y: sum, dx: spread }),
  reduction(ir.ReduceMean, {
    y: (k, x, axes, count) => k.affine(k.sum(x, axes, true), 1 / count, 0),
    dx: (k, dy, x, _y, _axes, count) => spread(k, k.affine(dy, 1 / count, 0), x),
  }),
  reduction(ir.ReduceMax, { y: (k, x, axes) => k.max(x, axes, true), dx: toExtremes }),
  reduction(ir.ReduceMin, {
    y: (k, x, axes) => k.unary('Neg', k.max(k.unary('Neg', x), axes, true)),
    dx: toExtremes,
  }),
  reduction(ir.ReduceSumSquare, {
    y: (k, x, axes) => k.sum(k.unary('Square', x), axes, true),
    dx: (k, dy, x) => k.affine(k.mul(dy, x), 2, 0),
  }),
  reduction(ir.ReduceL2, {
    y: (k, x, axes) => k.unary('Sqrt', k.sum(k.unary('Square', x), axes, true)),
    dx: (k, dy, x, y) => k.mul(k.div(dy, y), x),
  }),
  reduction(ir.ReduceL1, {
    y: (k, x, axes) => k.sum(k.unary('Abs', x), axes, true),
    dx: (k, dy, x) => k.mul(dy, k.unary('Sign', x)),
  }),
  reduction(ir.ReduceLogSumExp, {
    y: (k, x, axes) => {
      const max = k.max(x, axes, true)
      return k.add(max, k.unary('Log', k.sum(k.unary('Exp', k.sub(x, max)), axes, true)))
    },
    dx: (k, dy, x, y) => k.mul(dy, k.unary('Exp', k.sub(x, y))),
  }),
]
