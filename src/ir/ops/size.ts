import * as E from 'fp-ts/lib/Either.js'
import { tensorInput } from '../infer.ts'
import { inputShape } from '../links.ts'
import { defineOp } from '../op.ts'
import { productOf } from '../sizes.ts'
import { int64s } from '../tensor.ts'
import { sizeOf, tensorType } from '../type.ts'

/** The number of elements, as an int64 scalar. */
export const Size = defineOp<'Size', Record<never, never>>({
  name: 'Size',
  versions: [1, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    return E.isLeft(type) ? type : E.right([tensorType('int64', [])])
  },
  contents: (ctx) => {
    const shape = inputShape(ctx, 0)
    const product = shape && productOf(shape)
    return product === undefined ? undefined : [product]
  },
  links: 'opaque',
  evaluate: (_ctx, [x]) => x && [int64s([sizeOf(x.shape)], [])],
})
