import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { integersOf } from '../tensor.ts'
import { isStatic } from '../type.ts'

export interface GatherNDAttributes {
  /** How many leading axes data and indices share. */
  readonly batch_dims: number
}

/** Slices of the data at the places that the vectors along the last axis of the indices name. */
export const GatherND = defineOp<'GatherND', GatherNDAttributes>({
  name: 'GatherND',
  versions: [11, Infinity],
  schema: { batch_dims: int(0) },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const indices = shapeOf(ctx.inputs[1])
      const depth = indices?.at(-1)
      if (indices === undefined || !isStatic(depth)) return E.right(undefined)
      const taken = ctx.attrs.batch_dims + depth
      return taken > from.length
        ? E.left(`indices into ${taken} axes of [${from.join(',')}]`)
        : E.right([...indices.slice(0, -1), ...from.slice(taken)])
    }),
  links: 'opaque',
  evaluate: (ctx, [x, indices]) => {
    const [shape, picked] = [targetShape(ctx), indices && integersOf(indices)]
    if (!x || !indices || !shape || !picked) return undefined
    const [strides, places] = [stridesOf(x.shape), stridesOf(indices.shape)]
    const batch = ctx.attrs.batch_dims
    const depth = indices.shape.at(-1) ?? 0
    const outer = indices.shape.length - 1
    const inRange = picked.every((i, k) => {
      const size = x.shape[batch + (k % depth)] ?? 0
      return i >= -size && i < size
    })
    if (!inRange) return undefined
    const y = move(x, shape, (index) => {
      let start = 0
      for (let a = 0; a < outer; a++) start += (index[a] ?? 0) * (places[a] ?? 0)
      let at = 0
      for (let a = 0; a < x.shape.length; a++) {
        const i = picked[start + a - batch] ?? 0
        const named = i < 0 ? i + (x.shape[a] ?? 0) : i
        const own = a < batch ? index[a] : a < batch + depth ? named : index[outer + a - batch - depth]
        at += (own ?? 0) * (strides[a] ?? 0)
      }
      return at
    })
    return y && [y]
  },
})
