import * as E from 'fp-ts/lib/Either.js'
import { float, optionalInt } from '../attributes.ts'
import { isGiven, tensorInput } from '../infer.ts'
import { sameAxes } from '../links.ts'
import { defineOp, type NodeContext } from '../op.ts'
import { uniformValue } from '../slices.ts'
import { tensorOf } from '../tensor.ts'
import { sizeOf, tensorType } from '../type.ts'

export interface DropoutAttributes {
  /** An input since opset 12. */
  readonly ratio: number
  readonly seed: number | undefined
}

/** Whether it drops nothing: `training_mode` absent or false. */
const isInference = (ctx: NodeContext<DropoutAttributes>): boolean => {
  const training = ctx.constant(2)
  return !isGiven(ctx, 2) || (training !== undefined && uniformValue(training) === 0)
}

const readsMask = (ctx: NodeContext<DropoutAttributes>): boolean => Boolean(ctx.node.outputs[1])

/** The input itself unless in training mode; the second output is the mask of what was kept. */
export const Dropout = defineOp<'Dropout', DropoutAttributes>({
  name: 'Dropout',
  versions: [7, Infinity],
  schema: { ratio: float(0.5), seed: optionalInt },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    return E.right([type.right, tensorType(ctx.opset < 10 ? type.right.dtype : 'bool', type.right.shape)])
  },
  links: (ctx) => (isInference(ctx) && !readsMask(ctx) ? sameAxes(ctx) : 'opaque'),
  constant: (ctx, [x], output) => (output === 0 && isInference(ctx) ? (x ?? undefined) : undefined),
  identity: (ctx) => (isInference(ctx) && !readsMask(ctx) ? 0 : undefined),
  evaluate: (ctx, [x]) => {
    if (!x || !isInference(ctx)) return undefined
    if (!readsMask(ctx)) return [x]
    return ctx.opset < 12 ? undefined : [x, tensorOf('bool', x.shape, new Float64Array(sizeOf(x.shape)).fill(1))]
  },
})
