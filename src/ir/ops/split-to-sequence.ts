import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { integersOn } from '../families/movement.ts'
import { mostMembers, sequenceOf, sequenceOp } from '../families/sequences.ts'
import { isGiven, tensorInput } from '../infer.ts'
import { inputShape } from '../links.ts'
import type { InferContext, NodeContext } from '../op.ts'
import { isStatic, normalizeAxis, tensorType, unknownDim } from '../type.ts'

export interface SplitToSequenceAttributes {
  readonly axis: number
  /** 0: parts of one index, which they are where no sizes are given, are without the axis. */
  readonly keepdims: number
}

/** The sizes of the parts of an axis of `total` indices; undefined where they are computed or do not fit. */
const sizesOf = (ctx: NodeContext<SplitToSequenceAttributes>, total: number): ReadonlyArray<number> | undefined => {
  const given = isGiven(ctx, 1) ? integersOn(ctx, 1) : [1]
  if (given === undefined) return undefined
  if (inputShape(ctx, 1)?.length === 1) {
    return given.every((size) => size >= 0) && given.reduce((sum, size) => sum + size, 0) === total ? given : undefined
  }
  const [size = 0] = given
  if (size < 1 || total < 1 || total > size * mostMembers) return undefined
  return Array.from({ length: Math.ceil(total / size) }, (_, i) => Math.min(size, total - i * size))
}

/** Whether parts are without the axis: where sizes are given they keep it. */
const isDropped = (ctx: InferContext<SplitToSequenceAttributes>): boolean =>
  ctx.attrs.keepdims === 0 && !isGiven(ctx, 1)

/** The parts of a tensor along an axis: of the sizes on input 1, of the one size that is there, or of one index each. */
export const SplitToSequence = sequenceOp<'SplitToSequence', SplitToSequenceAttributes>(
  'SplitToSequence',
  { axis: int(0), keepdims: int(1) },
  {
    inferTypes: (ctx) => {
      const type = tensorInput(ctx, 0)
      if (E.isLeft(type)) return type
      const [{ dtype, shape }, name = ''] = [type.right, ctx.outputNames[0]]
      const axis = shape && normalizeAxis(ctx.attrs.axis, shape.length)
      if (shape === undefined || axis === undefined) return E.right([sequenceOf(tensorType(dtype, undefined))])
      const part = isDropped(ctx) ? shape.toSpliced(axis, 1) : shape.with(axis, unknownDim(name, axis))
      return E.right([sequenceOf(tensorType(dtype, part))])
    },
    members: (ctx) => {
      const [shape, value = ''] = [inputShape(ctx, 0), ctx.node.inputs[0]]
      const axis = shape && normalizeAxis(ctx.attrs.axis, shape.length)
      const total = axis === undefined ? undefined : shape?.[axis]
      const sizes = isStatic(total) ? sizesOf(ctx, total) : undefined
      if (axis === undefined || sizes === undefined) return undefined
      let end = 0
      return sizes.map((size) => {
        end += size
        return { value, part: { axis, start: end - size, end, isDropped: isDropped(ctx) } }
      })
    },
  },
)
