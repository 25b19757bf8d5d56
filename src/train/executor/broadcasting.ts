/** Operands that broadcast, in whatever layout the result has. */
import type { Tensor } from '../backend/tensor.ts'
import type { DeviceOps } from '../backend/ops/types.ts'
import { keepsElements, type Layout, onnxOrder, storedShape } from './layout.ts'
import { operand, type Read, type Site } from './lowering.ts'

/** An operand's way into the shape of the result, axes of size 1 where it broadcasts, and the way back of its gradient. */
export interface Aligned {
  readonly read: Read
  readonly into: (x: Tensor) => Tensor
  readonly back: (gradient: Tensor) => Tensor
}

/** The layout of the result: that of the first operand of full rank which is no constant. */
export const layoutOfResult = (site: Site<unknown>, ports: ReadonlyArray<number>): Layout => {
  const { length: rank } = site.outputShape()
  for (const port of ports) {
    const layout = site.shapeOf(port).length === rank ? site.layoutOf(port) : undefined
    if (layout !== undefined) return layout
  }
  return onnxOrder(rank)
}

/** Operand `port` of a result of layout `layout`. */
export const aligned = (site: Site<unknown>, port: number, layout: Layout): Aligned => {
  const k = site.ops
  const shape = site.shapeOf(port)
  const rank = layout.length
  const full = [...new Array<number>(rank - shape.length).fill(1), ...shape]
  const stored = storedShape(full, layout)
  const reduce = (gradient: Tensor): Tensor => sumInto(k, gradient, stored)
  if (shape.length === rank) return { read: operand(layout), into: (x) => x, back: reduce }
  // Read as it is and moved by every run: operands of lower rank are small.
  const free = keepsElements(full, layout)
  const order = onnxOrder(rank).map((axis) => layout.indexOf(axis))
  return {
    read: operand(onnxOrder(shape.length)),
    into: (x) => (free ? k.reshape(x, stored) : k.transpose(k.reshape(x, full), layout)),
    back: (gradient) => {
      const small = reduce(gradient)
      return k.reshape(free ? small : k.transpose(small, order), shape)
    },
  }
}

/** Axes of a value as axes in memory. */
export const axesTo = (axes: ReadonlyArray<number>, layout: Layout): ReadonlyArray<number> =>
  axes.map((axis) => layout.indexOf(axis))

/** Sums a gradient over the axes along which an operand of shape `to`, of the same rank, was widened. */
export const sumInto = (k: DeviceOps, gradient: Tensor, to: ReadonlyArray<number>): Tensor => {
  const axes = to.flatMap((size, axis) => (size === 1 && gradient.shape[axis] !== 1 ? [axis] : []))
  if (axes.length === 0) return gradient
  const last = to.length - 1
  // A vector along the last axis, as biases are.
  if (to.every((size, axis) => axis === last || size === 1) && !axes.includes(last)) {
    const columns = to[last] ?? 1
    return k.reshape(k.columnSums(k.reshape(gradient, [-1, columns])), to)
  }
  return k.sum(gradient, axes, true)
}
