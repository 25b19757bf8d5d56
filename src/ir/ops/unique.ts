import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { normalizeAxis, tensorType, unknownDim } from '../type.ts'

export interface UniqueAttributes {
  /** The input is flattened where it is absent. */
  readonly axis: number | undefined
  readonly sorted: number
}

/** The distinct elements, or slices along an axis; where each was found first, where each element went, and counts. */
export const Unique = defineOp<'Unique', UniqueAttributes>({
  name: 'Unique',
  versions: [11, Infinity],
  schema: { axis: optionalInt, sorted: int(1) },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const { dtype, shape } = type.right
    const unknown = (output: number, axis = 0) => unknownDim(ctx.outputNames[output] ?? '', axis)
    const axis = shape && ctx.attrs.axis !== undefined ? normalizeAxis(ctx.attrs.axis, shape.length) : undefined
    if (shape && ctx.attrs.axis !== undefined && axis === undefined)
      return E.left(`axis ${ctx.attrs.axis} of rank ${shape.length}`)
    const distinct =
      ctx.attrs.axis === undefined ? [unknown(0)] : shape?.map((dim, a) => (a === axis ? unknown(0, a) : dim))
    return E.right([tensorType(dtype, distinct), ...[1, 2, 3].map((k) => tensorType('int64', [unknown(k)]))])
  },
  links: 'opaque',
})
