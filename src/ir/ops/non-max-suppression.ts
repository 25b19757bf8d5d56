import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { notDefined } from '../families/half-precision.ts'
import { defineOp } from '../op.ts'
import { tensorType, unknownDim } from '../type.ts'

export interface NonMaxSuppressionAttributes {
  readonly center_point_box: number
}

/** The boxes that stay, as rows `[batch, class, box]`. */
export const NonMaxSuppression = defineOp<'NonMaxSuppression', NonMaxSuppressionAttributes>({
  name: 'NonMaxSuppression',
  versions: [10, Infinity],
  float32: notDefined,
  schema: { center_point_box: int(0) },
  inferTypes: (ctx) => E.right([tensorType('int64', [unknownDim(ctx.outputNames[0] ?? '', 0), 3])]),
  links: 'opaque',
})
