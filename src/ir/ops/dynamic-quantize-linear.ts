import * as E from 'fp-ts/lib/Either.js'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { tensorType } from '../type.ts'

/** The input as uint8, with the scale and zero point that its range gives. */
export const DynamicQuantizeLinear = defineOp<'DynamicQuantizeLinear', Record<never, never>>({
  name: 'DynamicQuantizeLinear',
  versions: [11, Infinity],
  schema: {},
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    return E.right([tensorType('uint8', type.right.shape), tensorType('float32', []), tensorType('uint8', [])])
  },
  links: 'opaque',
})
