import * as E from 'fp-ts/lib/Either.js'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { isKnownElement, productOf } from '../sizes.ts'
import { isStatic, unknownDim } from '../type.ts'

/** Repeats the input along every axis; input 1 says how often. */
export const Tile = defineOp<'Tile', Record<never, never>>({
  name: 'Tile',
  versions: [6, Infinity],
  schema: {},
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const repeats = ctx.content(1)
      if (repeats !== undefined && repeats.length !== from.length) {
        return E.left(`${repeats.length} repeats for an input of rank ${from.length}`)
      }
      const name = ctx.outputNames[0] ?? ''
      return E.right(
        from.map((dim, axis) => {
          const times = repeats?.[axis]
          const size = times !== undefined && isKnownElement(times) ? productOf([dim, times]) : undefined
          return size ?? unknownDim(name, axis)
        }),
      )
    }),
  links: (ctx) => {
    const [from, to, repeats] = [inputShape(ctx, 0), outputShape(ctx), ctx.content(1)]
    return (from ?? []).flatMap((dim, axis) => {
      const size = to?.[axis]
      if (!isStatic(dim) || !isStatic(size) || !isStatic(repeats?.[axis])) return []
      const link = sameIndex(0, axis, 0, axis)
      return [dim === size ? link : { ...link, from: periodic(size, dim) }]
    })
  },
  constant: (_ctx, [x]) => x ?? undefined,
  identity: (ctx) => (inputShape(ctx, 0) && ctx.content(1)?.every((times) => times === 1) ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const strides = stridesOf(x.shape)
    const y = move(x, shape, (index) =>
      strides.reduce((at, stride, a) => at + ((index[a] ?? 0) % (x.shape[a] ?? 1)) * stride, 0),
    )
    return y && [y]
  },
})
