import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { tensorInput } from '../infer.ts'
import { inputShape } from '../links.ts'
import { defineOp, type InferContext } from '../op.ts'
import { int64s } from '../tensor.ts'
import { tensorType, unknownDim } from '../type.ts'

export interface ShapeAttributes {
  /** First axis, and the one after the last; negative ones count from the end. Since opset 15. */
  readonly start: number
  readonly end: number | undefined
}

const part = <T>(ctx: InferContext<ShapeAttributes>, shape: ReadonlyArray<T>): ReadonlyArray<T> =>
  shape.slice(ctx.attrs.start, ctx.attrs.end)

/**
 * The sizes of axes `start .. end` as int64. Its links are opaque: what reads a size must see the size of the model as
 * it was. Sizes that are known are folded, and shapes that only copy sizes are rewritten, so that few are left.
 */
export const Shape = defineOp<'Shape', ShapeAttributes>({
  name: 'Shape',
  versions: [1, Infinity],
  schema: { start: int(0), end: optionalInt },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const { shape } = type.right
    const length = shape === undefined ? unknownDim(ctx.outputNames[0] ?? '', 0) : part(ctx, shape).length
    return E.right([tensorType('int64', [length])])
  },
  contents: (ctx) => {
    const shape = inputShape(ctx, 0)
    return shape && part(ctx, shape)
  },
  links: 'opaque',
  evaluate: (ctx, [x]) => x && [int64s(part(ctx, x.shape))],
})
