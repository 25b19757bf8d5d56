import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { integersOf } from '../tensor.ts'
import { normalizeAxis } from '../type.ts'

export interface GatherElementsAttributes {
  readonly axis: number
}

/** The data at the place of each index, moved along `axis` to where the index says. */
export const GatherElements = defineOp<'GatherElements', GatherElementsAttributes>({
  name: 'GatherElements',
  versions: [11, Infinity],
  schema: { axis: int(0) },
  inferTypes: (ctx) => movedType(ctx, () => E.right(shapeOf(ctx.inputs[1]))),
  links: 'opaque',
  evaluate: (ctx, [x, indices]) => {
    const [shape, picked] = [targetShape(ctx), indices && integersOf(indices)]
    const axis = x && normalizeAxis(ctx.attrs.axis, x.shape.length)
    if (!x || !shape || !picked || axis === undefined) return undefined
    const size = x.shape[axis] ?? 0
    if (picked.some((i) => i < -size || i >= size)) return undefined
    const strides = stridesOf(x.shape)
    const places = stridesOf(shape)
    const y = move(x, shape, (index) => {
      const i = picked[places.reduce((at, stride, a) => at + (index[a] ?? 0) * stride, 0)] ?? 0
      const along = i < 0 ? i + size : i
      return strides.reduce((at, stride, a) => at + (a === axis ? along : (index[a] ?? 0)) * stride, 0)
    })
    return y && [y]
  },
})
