import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { integersOn, movedType } from '../families/movement.ts'
import { isGiven } from '../infer.ts'
import { inputShape, sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'

export interface TriluAttributes {
  /** 1 keeps what is on and above the diagonal, 0 what is on and below it. */
  readonly upper: number
}

/** A triangle of the last two axes, zeros elsewhere; input 1 moves the diagonal to the right. */
export const Trilu = defineOp<'Trilu', TriluAttributes>({
  name: 'Trilu',
  versions: [14, Infinity],
  schema: { upper: int(1) },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => (from.length < 2 ? E.left('an input of fewer than 2 axes') : E.right(from))),
  links: (ctx) => {
    const rank = inputShape(ctx, 0)?.length ?? 0
    return sameAxes(ctx, (axis) => axis < rank - 2)
  },
  constant: (_ctx, [x]) => (x === 0 ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    const k = isGiven(ctx, 1) ? integersOn(ctx, 1)?.[0] : 0
    if (!x || k === undefined) return undefined
    const strides = stridesOf(x.shape)
    const y = move(x, x.shape, (index) => {
      const offset = (index.at(-1) ?? 0) - (index.at(-2) ?? 0) - k
      const kept = ctx.attrs.upper === 0 ? offset <= 0 : offset >= 0
      return kept ? strides.reduce((at, stride, a) => at + (index[a] ?? 0) * stride, 0) : -1
    })
    return y && [y]
  },
})
