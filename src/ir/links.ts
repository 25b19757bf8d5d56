/** Constructors for {@link AxisLink}s and index maps. */
import type { AxisLink, NodeContext } from './op.ts'
import { isStatic, type Shape, type ValueType } from './type.ts'

export const shapeOf = (type: ValueType | undefined): Shape | undefined =>
  type?.kind === 'tensor' ? type.shape : undefined

export const inputShape = (ctx: NodeContext<unknown>, port: number): Shape | undefined => shapeOf(ctx.inputs[port])

export const outputShape = (ctx: NodeContext<unknown>, output = 0): Shape | undefined => shapeOf(ctx.outputs[output])

/** Elements of a shape, symbolic sizes counted as 1; 0 when even the rank is unknown. */
export const countOf = (shape: Shape | undefined): number =>
  shape === undefined ? 0 : shape.reduce<number>((n, dim) => (isStatic(dim) ? n * dim : n), 1)

/** `length` indices, index i mapped by `map`. */
export const indexMap = (length: number, map: (i: number) => number): Int32Array =>
  Int32Array.from({ length }, (_, i) => map(i))

/** Index i of the input axis belongs to index i of the output axis. */
export const sameIndex = (input: number, inputAxis: number, output: number, outputAxis: number): AxisLink => ({
  input,
  inputAxis,
  output,
  outputAxis,
})

/** Axis a of the input is axis a of the output, for the axes that `which` accepts and whose size is static and equal. */
export const sameAxes = (
  ctx: NodeContext<unknown>,
  which: (axis: number) => boolean = () => true,
): ReadonlyArray<AxisLink> => {
  const from = inputShape(ctx, 0)
  const to = outputShape(ctx)
  if (from === undefined || to === undefined || from.length !== to.length) return []
  return from.flatMap((dim, axis) =>
    isStatic(dim) && dim === to[axis] && which(axis) ? [sameIndex(0, axis, 0, axis)] : [],
  )
}

/** Links of inputs that broadcast to output 0: aligned from the right; an axis of size 1 that is widened has no link. */
export const broadcastLinks = (ctx: NodeContext<unknown>, ports: ReadonlyArray<number>): ReadonlyArray<AxisLink> => {
  const to = outputShape(ctx)
  if (to === undefined) return []
  const links: AxisLink[] = []
  for (const port of ports) {
    const from = inputShape(ctx, port)
    if (from === undefined) continue
    from.forEach((dim, axis) => {
      const at = axis + to.length - from.length
      if (isStatic(dim) && dim === to[at]) links.push(sameIndex(port, axis, 0, at))
    })
  }
  return links
}
