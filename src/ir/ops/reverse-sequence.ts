import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType } from '../families/movement.ts'
import { sameAxes } from '../links.ts'
import { defineOp } from '../op.ts'
import { integersOf } from '../tensor.ts'

export interface ReverseSequenceAttributes {
  readonly batch_axis: number
  readonly time_axis: number
}

/** Reverses the first `lengths[b]` steps of sequence `b`. */
export const ReverseSequence = defineOp<'ReverseSequence', ReverseSequenceAttributes>({
  name: 'ReverseSequence',
  versions: [10, Infinity],
  schema: { batch_axis: int(1), time_axis: int(0) },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => (from.length < 2 ? E.left('an input of fewer than 2 axes') : E.right(from))),
  links: (ctx) => sameAxes(ctx, (axis) => axis !== ctx.attrs.batch_axis && axis !== ctx.attrs.time_axis),
  constant: (_ctx, [x]) => x ?? undefined,
  evaluate: (ctx, [x, lengths]) => {
    const counts = lengths && integersOf(lengths)
    if (!x || !counts) return undefined
    const { batch_axis: batch, time_axis: time } = ctx.attrs
    const strides = stridesOf(x.shape)
    const y = move(x, x.shape, (index) => {
      const [step, count] = [index[time] ?? 0, counts[index[batch] ?? 0] ?? 0]
      const source = step < count ? count - 1 - step : step
      return strides.reduce((at, stride, a) => at + (a === time ? source : (index[a] ?? 0)) * stride, 0)
    })
    return y && [y]
  },
})
