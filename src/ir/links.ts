/** Constructors for {@link AxisLink}s and index maps. */
import type { AxisLink, IndexMap, NodeContext } from './op.ts'
import { isStatic, type Shape, type ValueType } from './type.ts'

export const shapeOf = (type: ValueType | undefined): Shape | undefined =>
  type?.kind === 'tensor' ? type.shape : undefined

export const inputShape = (ctx: NodeContext<unknown>, port: number): Shape | undefined => shapeOf(ctx.inputs[port])

export const outputShape = (ctx: NodeContext<unknown>, output = 0): Shape | undefined => shapeOf(ctx.outputs[output])

/** Elements of a shape, symbolic sizes counted as 1; 0 when even the rank is unknown. */
export const countOf = (shape: Shape | undefined): number =>
  shape === undefined ? 0 : shape.reduce<number>((n, dim) => (isStatic(dim) ? n * dim : n), 1)

/** Of `length` indices, index i lies at i + `offset` on an axis of `size`, or nowhere where that is beyond it. */
export const shifted = (length: number, size: number, offset: number): IndexMap => {
  const first = Math.max(0, -offset)
  const end = Math.max(first, Math.min(length, size - offset))
  return { first, end, at: (i) => i + offset, onto: size === 0 || (first + offset === 0 && end + offset === size) }
}

/** Of `length` indices, index i lies at `first + i · step` on an axis of `size`. */
export const stepped = (length: number, size: number, first: number, step: number): IndexMap => ({
  first: 0,
  end: length,
  at: (i) => first + i * step,
  onto: length === size,
})

/** Of `length` indices, `unit` in a row lie at one place of an axis of `size`, which are counted round and round. */
export const periodic = (length: number, size: number, unit = 1): IndexMap => ({
  first: 0,
  end: length,
  at: (i) => Math.floor(i / unit) % size,
  onto: length >= size * unit,
  digit: { size, unit },
})

/** Index i lies at `places[i]` of an axis of `size`. */
export const listed = (places: ArrayLike<number>, size: number): IndexMap => {
  const met = new Set<number>()
  for (let i = 0; i < places.length; i++) met.add(places[i] ?? 0)
  return { first: 0, end: places.length, at: (i) => places[i] ?? 0, onto: met.size === size }
}

/** Where an index lies, -1 for nowhere. */
export const placeOf = (map: IndexMap, index: number): number =>
  index >= map.first && index < map.end ? map.at(index) : -1

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

/**
 * Of links between axes that have to be of one size, index by index, those that can be followed: where one of the inputs is not known
 * to be as long as the output, what goes from the others would not go from it.
 */
export const ofOneSize = (ctx: NodeContext<unknown>, links: ReadonlyArray<AxisLink>): ReadonlyArray<AxisLink> => {
  const unequal = new Set<string>()
  for (const { input, inputAxis, output, outputAxis } of links) {
    const size = outputShape(ctx, output)?.[outputAxis]
    if (!isStatic(size) || inputShape(ctx, input)?.[inputAxis] !== size) unequal.add(`${output} ${outputAxis}`)
  }
  return links.filter(({ output, outputAxis }) => !unequal.has(`${output} ${outputAxis}`))
}

/** Links between the same input and output, in order. */
export const pairsOf = (links: ReadonlyArray<AxisLink>): ReadonlyArray<ReadonlyArray<AxisLink>> => {
  const pairs = new Map<number, Map<number, AxisLink[]>>()
  for (const link of links) {
    const ofInput = pairs.get(link.input) ?? new Map<number, AxisLink[]>()
    pairs.set(link.input, ofInput)
    const known = ofInput.get(link.output)
    if (known) known.push(link)
    else ofInput.set(link.output, [link])
  }
  return [...pairs.values()].flatMap((ofInput) => [...ofInput.values()])
}

/**
 * Whether an input that broadcasts to output 0 may be longer than 1 along an axis of that, for all that is known. What goes from the
 * output there would not go from it.
 */
export const mayReach = (ctx: NodeContext<unknown>, port: number, outputAxis: number): boolean => {
  if (ctx.inputs[port] === undefined) return false
  const [from, to] = [inputShape(ctx, port), outputShape(ctx)]
  if (from === undefined || to === undefined) return true
  const axis = outputAxis - (to.length - from.length)
  return axis >= 0 && !isStatic(from[axis])
}

/**
 * Links of inputs that broadcast to output 0: aligned from the right; an axis of size 1 that is widened has no link, and neither
 * has one that an input of unknown size may be as long as.
 */
export const broadcastLinks = (ctx: NodeContext<unknown>, ports: ReadonlyArray<number>): ReadonlyArray<AxisLink> => {
  const to = outputShape(ctx)
  if (to === undefined) return []
  const links: AxisLink[] = []
  const unknown = new Set<number>()
  for (const port of ports) {
    if (ctx.inputs[port] === undefined) continue
    const from = inputShape(ctx, port)
    if (from === undefined) return []
    from.forEach((dim, axis) => {
      const at = axis + to.length - from.length
      if (!isStatic(dim)) unknown.add(at)
      else if (dim === to[at]) links.push(sameIndex(port, axis, 0, at))
    })
  }
  return links.filter(({ outputAxis }) => !unknown.has(outputAxis))
}
