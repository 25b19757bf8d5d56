/** Operators that keep all elements in row-major order under another shape. */
import type * as E from 'fp-ts/lib/Either.js'
import { reshaped } from '../evaluate.ts'
import type { Schema } from '../attributes.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import { type AxisLink, defineOp, type IndexMap, type InferContext, type OpDef } from '../op.ts'
import { sameType, type Shape, sizeOf } from '../type.ts'
import { movedType, targetShape } from './movement.ts'

/** An axis that is not 1. */
interface Axis {
  readonly at: number
  readonly dim: number | string
}

const placedAxes = (shape: Shape): ReadonlyArray<Axis> =>
  shape.map((dim, at) => ({ at, dim })).filter(({ dim }) => dim !== 1)

/** Shortest run of axes on either side from the front that holds equally many elements, as counts of axes. */
const block = (from: ReadonlyArray<Axis>, to: ReadonlyArray<Axis>): readonly [number, number] | undefined => {
  const [a, b] = [from[0]?.dim, to[0]?.dim]
  if (a === undefined || b === undefined) return undefined
  if (a === b) return [1, 1]
  if (typeof a !== 'number' || typeof b !== 'number') return undefined
  let [ins, outs, left, right] = [1, 1, a, b]
  while (left !== right) {
    const next = left < right ? from[ins]?.dim : to[outs]?.dim
    if (typeof next !== 'number') return undefined
    if (left < right) {
      left *= next
      ins += 1
    } else {
      right *= next
      outs += 1
    }
  }
  return [ins, outs]
}

/** A factor of an axis: `size` parts, each of `stride` indices in a row, counted round and round. */
interface Factor {
  readonly axis: Axis
  readonly size: number
  readonly stride: number
}

/**
 * The factors that both sides of a block are products of, in order, those of either side; undefined where a part of one side
 * does not end where one of the other does, (4, 6) against (6, 4).
 */
const factorsOf = (
  from: ReadonlyArray<Axis>,
  to: ReadonlyArray<Axis>,
): ReadonlyArray<readonly [Factor, Factor]> | undefined => {
  const factors: Array<readonly [Factor, Factor]> = []
  let [i, o] = [0, 0]
  let [left, right] = [Number(from[0]?.dim), Number(to[0]?.dim)]
  for (;;) {
    const [input, output] = [from[i], to[o]]
    if (input === undefined || output === undefined) return factors
    const size = Math.min(left, right)
    if (left % size !== 0 || right % size !== 0) return undefined
    left /= size
    right /= size
    factors.push([
      { axis: input, size, stride: left },
      { axis: output, size, stride: right },
    ])
    if (left === 1) left = Number(from[++i]?.dim)
    if (right === 1) right = Number(to[++o]?.dim)
  }
}

/** Links within a block, factor by factor: axis to axis, several merged into one, one split into several, or a part to a part. */
const blockLinks = (from: ReadonlyArray<Axis>, to: ReadonlyArray<Axis>): ReadonlyArray<AxisLink> => {
  if (![...from, ...to].every(({ dim }) => typeof dim === 'number')) return []
  return (factorsOf(from, to) ?? []).map(([input, output]) => ({
    ...sameIndex(0, input.axis.at, 0, output.axis.at),
    ...(isWhole(output) ? {} : { from: mapOf(output) }),
    ...(isWhole(input) ? {} : { into: mapOf(input) }),
  }))
}

const isWhole = ({ axis, size }: Factor): boolean => axis.dim === size

const mapOf = ({ axis, size, stride }: Factor): IndexMap => periodic(Number(axis.dim), size, stride)

/** The blocks found from the front, and how many axes on either side those cover. */
const blocksFromFront = (from: ReadonlyArray<Axis>, to: ReadonlyArray<Axis>) => {
  const blocks: Array<readonly [ReadonlyArray<Axis>, ReadonlyArray<Axis>]> = []
  let [i, o] = [0, 0]
  for (;;) {
    const found = block(from.slice(i), to.slice(o))
    if (found === undefined) return { blocks, ins: i, outs: o }
    const [ins, outs] = found
    blocks.push([from.slice(i, i + ins), to.slice(o, o + outs)])
    i += ins
    o += outs
  }
}

/**
 * How the axes of a reshape correspond. Both shapes are cut into the shortest blocks with equally many elements, from
 * the front and, behind a part that does not match, from the end; a symbol matches only itself. An axis
 * in a block of its own is linked as it is, one merged into another or split into several index by index with the
 * others free, and of several axes on both sides the factors that they share. Axes of size 1 have no links.
 */
export const reshapeLinks = (from: Shape | undefined, to: Shape | undefined): ReadonlyArray<AxisLink> => {
  if (from === undefined || to === undefined || from.includes(0) || to.includes(0)) return []
  const [ins, outs] = [placedAxes(from), placedAxes(to)]
  const front = blocksFromFront(ins, outs)
  const end = blocksFromFront(ins.slice(front.ins).toReversed(), outs.slice(front.outs).toReversed())
  return [
    ...front.blocks.flatMap(([a, b]) => blockLinks(a, b)),
    ...end.blocks.flatMap(([a, b]) => blockLinks(a.toReversed(), b.toReversed())),
  ]
}

/** The same elements in the same order under the shape that `shape` gives, undefined where its rank is unknown. */
export const reshaping = <const Name extends string, A>(
  name: Name,
  versions: readonly [number, number],
  schema: Schema<A>,
  shape: (ctx: InferContext<A>, from: Shape) => E.Either<string, Shape | undefined>,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    schema,
    inferTypes: (ctx) => movedType(ctx, (from) => shape(ctx, from)),
    contents: (ctx) => ctx.content(0),
    links: (ctx) => reshapeLinks(inputShape(ctx, 0), outputShape(ctx)),
    constant: (_ctx, [x]) => x ?? undefined,
    // Axes that are followed by the same on both sides.
    shifts: (ctx, port, { axes }) => {
      const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
      if (port !== 0 || from === undefined || to === undefined) return []
      const isKept = (axis: number): boolean =>
        to.slice(axis).every((dim, i) => dim === from[axis + i + from.length - to.length])
      return [...axes].filter(isKept).map((axis) => axis + from.length - to.length)
    },
    total: true,
    isView: true,
    identity: (ctx) => {
      const [input, output] = [ctx.inputs[0], ctx.outputs[0]]
      return input && output && input.kind === 'tensor' && input.shape !== undefined && sameType(input, output)
        ? 0
        : undefined
    },
    evaluate: (ctx, [x]) => {
      const to = targetShape(ctx)
      return x && to && sizeOf(x.shape) === sizeOf(to) ? [reshaped(x, to)] : undefined
    },
  })
