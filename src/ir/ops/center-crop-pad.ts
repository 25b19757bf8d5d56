import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { isKnownElement } from '../sizes.ts'
import { normalizeAxis, unknownDim } from '../type.ts'

export interface CenterCropPadAttributes {
  readonly axes: ReadonlyArray<number> | undefined
}

const croppedAxes = (ctx: InferContext<CenterCropPadAttributes>, rank: number): ReadonlyArray<number> =>
  ctx.attrs.axes?.map((axis) => normalizeAxis(axis, rank) ?? rank) ?? Array.from({ length: rank }, (_, a) => a)

/** Brings axes to the sizes in input 1 by cutting off or adding zeros equally at both ends. */
export const CenterCropPad = defineOp<'CenterCropPad', CenterCropPadAttributes>({
  name: 'CenterCropPad',
  versions: [18, Infinity],
  schema: { axes: optionalInts },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const axes = croppedAxes(ctx, from.length)
      const sizes = ctx.content(1)
      const name = ctx.outputNames[0] ?? ''
      if (sizes !== undefined && sizes.length !== axes.length)
        return E.left(`${sizes.length} sizes for ${axes.length} axes`)
      return E.right(
        from.map((dim, axis) => {
          const i = axes.indexOf(axis)
          const size = i < 0 ? dim : sizes?.[i]
          return size !== undefined && isKnownElement(size) ? size : unknownDim(name, axis)
        }),
      )
    }),
  links: (ctx) => {
    const axes = croppedAxes(ctx, inputShape(ctx, 0)?.length ?? 0)
    return sameAxes(ctx, (axis) => !axes.includes(axis))
  },
  constant: (_ctx, [x]) => (x === 0 ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const strides = stridesOf(x.shape)
    const offsets = shape.map((size, a) => {
      const before = x.shape[a] ?? 0
      return size < before ? Math.floor((before - size) / 2) : -Math.floor((size - before) / 2)
    })
    const y = move(x, shape, (index) => {
      let at = 0
      for (let a = 0; a < shape.length; a++) {
        const i = (index[a] ?? 0) + (offsets[a] ?? 0)
        if (i < 0 || i >= (x.shape[a] ?? 0)) return -1
        at += i * (strides[a] ?? 0)
      }
      return at
    })
    return y && [y]
  },
})
