/**
 * Rotary embeddings: places of a head are rotated in pairs, by angles that tables hold for each position and pair.
 *
 *     y[p] = x[p] · cos - x[q] · sin,    y[q] = x[q] · cos + x[p] · sin
 *
 * of p and q = p + half, or of neighbours where it is interleaved. Both places of a pair go together, in all heads,
 * with their column of the tables, or with a head.
 */
import * as E from 'fp-ts/lib/Either.js'
import type { Schema } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { generate, numbersOf } from '../evaluate.ts'
import { gatherOperands } from '../gather-operands.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, periodic, sameIndex } from '../links.ts'
import { defineOp, type NodeContext, type OpDef } from '../op.ts'
import type { Dense } from '../tensor.ts'
import { isStatic } from '../type.ts'

export interface RotaryAttributes {
  readonly interleaved: number
  /** Of an input without an axis of heads; 0: what the tables tell. */
  readonly num_heads: number
  /** How many places of a head are rotated, the first ones; 0: all. */
  readonly rotary_embedding_dim: number
}

/** Where the operands are. */
export interface RotaryPorts {
  readonly positions: number
  readonly cos: number
  readonly sin: number
}

/** How many places a head has, if all of them are rotated. */
const placesOf = (ctx: NodeContext<RotaryAttributes>, { cos, sin }: RotaryPorts): number | undefined => {
  const [x, table] = [inputShape(ctx, 0), inputShape(ctx, cos)]
  const [last, half] = [x?.at(-1), table?.at(-1)]
  if (x === undefined || !isStatic(last) || !isStatic(half) || half === 0) return undefined
  if (inputShape(ctx, sin)?.at(-1) !== half || ctx.attrs.rotary_embedding_dim !== 0) return undefined
  const fits = x.length === 4 ? last === 2 * half : x.length === 3 && last % (2 * half) === 0
  const isWhole = x.length === 4 || ctx.attrs.num_heads === 0 || ctx.attrs.num_heads * 2 * half === last
  return fits && isWhole ? 2 * half : undefined
}

/** The positions of `batch` and `place` in the tables. */
const positionIn = (ids: Dense): ((batch: number, place: number) => number) => {
  const numbers = numbersOf(ids)
  const places = ids.shape[1] ?? 0
  return ids.shape.length === 2 ? (b, s) => numbers[b * places + s] ?? 0 : (_, s) => (numbers[0] ?? 0) + s
}

export const rotary = <const Name extends string, A extends RotaryAttributes>(
  name: Name,
  versions: readonly [number, number],
  schema: Schema<A>,
  ports: RotaryPorts,
): OpDef<Name, A> =>
  defineOp<Name, A>({
    name,
    versions,
    schema,
    inferTypes: (ctx) => {
      const x = tensorInput(ctx, 0)
      if (E.isLeft(x)) return x
      const rank = x.right.shape?.length
      return rank === undefined || rank === 3 || rank === 4 ? E.right([x.right]) : E.left(`an input of rank ${rank}`)
    },
    links: (ctx) => {
      const x = inputShape(ctx, 0)
      const places = placesOf(ctx, ports)
      if (x === undefined) return 'opaque'
      const axis = x.length - 1
      const size = x[axis]
      const others = x.length === 4 && isStatic(x[1]) ? [sameIndex(0, 1, 0, 1)] : []
      if (places === undefined || !isStatic(size)) return others
      const pair = periodic(size, places / 2, ctx.attrs.interleaved !== 0 ? 2 : 1)
      const head = periodic(size, size / places, places)
      // What goes does with its head, or with its pair in all heads: tables are the same for all.
      const ways = size === places ? [pair] : [head, pair]
      const tables = [ports.cos, ports.sin].map((port) => {
        const rank = inputShape(ctx, port)?.length ?? 1
        return { ...sameIndex(port, rank - 1, 0, axis), from: pair }
      })
      return [...others, ...ways.map((way) => ({ ...sameIndex(0, axis, 0, axis), from: way, into: way })), ...tables]
    },
    constant: (_ctx, [x]) => (x === 0 ? 0 : undefined),
    shrink: (s) => {
      const made = gatherOperands(s)
      const x = inputShape(s, 0)
      const table = inputShape(s, ports.cos)
      if (x?.length !== 3 || s.attrs.num_heads === 0) return made
      const left = (port: number, axis: number, size: unknown): number =>
        s.keptInput(port, axis)?.length ?? Number(size)
      const heads = left(0, 2, x[2]) / (2 * left(ports.cos, (table?.length ?? 1) - 1, table?.at(-1)))
      return { ...made, nodes: made.nodes.map((node) => ({ ...node, attrs: { ...s.attrs, num_heads: heads } })) }
    },
    evaluate: (ctx, inputs) => {
      const [x] = inputs
      const [cos, sin] = [inputs[ports.cos], inputs[ports.sin]]
      const places = placesOf(ctx, ports)
      if (!x || !cos || !sin || !isFloat(x.dtype) || places === undefined) return undefined
      const half = places / 2
      const isInterleaved = ctx.attrs.interleaved !== 0
      const [values, cosines, sines] = [numbersOf(x), numbersOf(cos), numbersOf(sin)]
      const ids = inputs[ports.positions]
      const rows = cos.shape.length === 3 ? (cos.shape[1] ?? 0) : 0
      const position = ids ? positionIn(ids) : (b: number, s: number): number => b * rows + s
      const isApart = x.shape.length === 4
      const y = generate(x.dtype, x.shape, (index, flat) => {
        const p = (index[isApart ? 3 : 2] ?? 0) % places
        const pair = isInterleaved ? Math.floor(p / 2) : p % half
        const isFirst = isInterleaved ? p % 2 === 0 : p < half
        const apart = (isInterleaved ? 1 : half) * (isFirst ? 1 : -1)
        const at = position(index[0] ?? 0, index[isApart ? 2 : 1] ?? 0) * half + pair
        const turned = (values[flat + apart] ?? 0) * (sines[at] ?? 0)
        return (values[flat] ?? 0) * (cosines[at] ?? 0) + (isFirst ? -turned : turned)
      })
      return [y]
    },
  })
