import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { integersOn, movedType, targetShape, withOperand } from '../families/movement.ts'
import { firstPad, isPadded, putBack } from '../families/put-back.ts'
import { gatherOperands } from '../gather-operands.ts'
import { inputShape, listed, sameIndex, shapeOf } from '../links.ts'
import { type AxisLink, defineOp, type NodeContext } from '../op.ts'
import { integersOf, tensorOf } from '../tensor.ts'
import { isStatic, normalizeAxis } from '../type.ts'

export interface GatherAttributes {
  readonly axis: number
}

/** Indices of a constant vector, counted from the front; undefined where they are computed or of another rank. */
const vectorOf = (ctx: NodeContext<GatherAttributes>, size: number): ReadonlyArray<number> | undefined => {
  const indices = ctx.constant(1)
  if (indices?.shape.length !== 1) return undefined
  const counted = integersOf(indices)?.map((i) => (i < 0 ? i + size : i))
  return counted?.every((i) => i >= 0 && i < size) ? counted : undefined
}

/** `y[.., i.., ..] = x[.., indices[i..], ..]`: axis `axis` of the data is replaced by the axes of the indices. */
export const Gather = defineOp<'Gather', GatherAttributes>({
  name: 'Gather',
  versions: [1, Infinity],
  schema: { axis: int(0) },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const axis = normalizeAxis(ctx.attrs.axis, from.length)
      if (axis === undefined) return E.left(`axis ${ctx.attrs.axis} of rank ${from.length}`)
      const indices = shapeOf(ctx.inputs[1])
      return E.right(indices && [...from.slice(0, axis), ...indices, ...from.slice(axis + 1)])
    }),
  contents: (ctx) => {
    const [data, indices] = [ctx.content(0), integersOn(ctx, 1)]
    if (data === undefined || inputShape(ctx, 0)?.length !== 1) return undefined
    const picked = indices?.flatMap((i) => data[i < 0 ? i + data.length : i] ?? [])
    return picked?.length === indices?.length ? picked : undefined
  },
  links: (ctx) => {
    const [from, indices] = [inputShape(ctx, 0), inputShape(ctx, 1)]
    const axis = from && normalizeAxis(ctx.attrs.axis, from.length)
    if (from === undefined || indices === undefined || axis === undefined) return 'opaque'
    const links: AxisLink[] = []
    from.forEach((dim, a) => {
      if (!isStatic(dim)) return
      if (a !== axis) links.push(sameIndex(0, a, 0, a < axis ? a : a - 1 + indices.length))
      else {
        const picked = vectorOf(ctx, dim)
        if (picked === undefined) return
        const isAll = picked.length === dim && picked.every((i, o) => i === o)
        const selects = { restores: ctx.opset >= firstPad && isPadded(ctx.inputs[0]) }
        links.push({ ...sameIndex(0, a, 0, a), ...(isAll ? {} : { from: listed(picked, dim) }), selects })
      }
    })
    return links
  },
  constant: (_ctx, [x]) => x ?? undefined,
  shrink: (s) => {
    const from = inputShape(s, 0) ?? []
    const axis = normalizeAxis(s.attrs.axis, from.length) ?? 0
    const [size, indices] = [from[axis], s.constant(1)]
    const picked = isStatic(size) ? vectorOf(s, size) : undefined
    const [keptIn, keptOut] = [s.keptInput(0, axis), s.keptOutput(0, axis)]
    const rewrite = gatherOperands(s)
    if (picked === undefined || indices === undefined || (keptIn === undefined && keptOut === undefined)) return rewrite
    const left = Array.from(keptOut ?? picked.keys(), (o) => picked[o] ?? 0)
    if (keptIn === undefined) return withOperand(s, rewrite, 1, tensorOf(indices.dtype, [left.length], left))
    const places = new Map(Array.from(keptIn, (i, place) => [i, place]))
    const constants = s.constantsOf(0, axis)
    const numberOf = (i: number): number => constants?.[i] ?? 0
    /** The constants that are put back, each once, behind the channels that are there. */
    const back = [...new Set(left.filter((i) => !places.has(i)).map(numberOf))]
    const placed = left.map((i) => places.get(i) ?? keptIn.length + back.indexOf(numberOf(i)))
    const selected = withOperand(s, rewrite, 1, tensorOf(indices.dtype, [placed.length], placed))
    if (back.length === 0) return selected
    const [x = ''] = s.node.inputs
    const padded = s.fresh(`${x}_padded`)
    const padding = putBack(s, [x, padded], [from.length, axis], keptIn.length, [Float64Array.from(back)])
    return {
      nodes: [
        ...padding.nodes,
        ...selected.nodes.map((node) => ({ ...node, inputs: [padded, ...node.inputs.slice(1)] })),
      ],
      constants: new Map([...padding.constants, ...selected.constants]),
    }
  },
  identity: (ctx) => {
    const from = inputShape(ctx, 0)
    const size = from?.[normalizeAxis(ctx.attrs.axis, from.length) ?? -1]
    const picked = isStatic(size) ? vectorOf(ctx, size) : undefined
    return picked?.length === size && picked?.every((i, o) => i === o) ? 0 : undefined
  },
  total: true,
  evaluate: (ctx, [x, indices]) => {
    const shape = targetShape(ctx)
    const picked = indices && integersOf(indices)
    const axis = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || !indices || !picked || !shape || axis === undefined) return undefined
    const size = x.shape[axis] ?? 0
    if (picked.some((i) => i < -size || i >= size)) return undefined
    const [strides, places] = [stridesOf(x.shape), stridesOf(indices.shape)]
    const rank = indices.shape.length
    const y = move(x, shape, (index) => {
      let place = 0
      for (let k = 0; k < rank; k++) place += (index[axis + k] ?? 0) * (places[k] ?? 0)
      const i = picked[place] ?? 0
      let at = (i < 0 ? i + size : i) * (strides[axis] ?? 0)
      for (let a = 0; a < x.shape.length; a++) {
        if (a !== axis) at += (index[a < axis ? a : a - 1 + rank] ?? 0) * (strides[a] ?? 0)
      }
      return at
    })
    return y && [y]
  },
})
