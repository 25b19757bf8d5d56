import * as E from 'fp-ts/lib/Either.js'
import { int, optionalInt } from '../attributes.ts'
import { dtypes } from '../dtype.ts'
import { generate } from '../evaluate.ts'
import { targetShape } from '../families/movement.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { isNumeric } from '../tensor.ts'
import { tensorType } from '../type.ts'

export interface EyeLikeAttributes {
  /** Number of the element type in ONNX's TensorProto.DataType; the input's where it is absent. */
  readonly dtype: number | undefined
  /** Diagonals to the right of the main one. */
  readonly k: number
}

/** Ones on one diagonal of a matrix of the input's shape, zeros elsewhere. The input's elements are not read. */
export const EyeLike = defineOp<'EyeLike', EyeLikeAttributes>({
  name: 'EyeLike',
  versions: [9, Infinity],
  schema: { dtype: optionalInt, k: int(0) },
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const { dtype } = ctx.attrs
    const to = dtype === undefined ? type.right.dtype : dtypes[dtype - 1]
    return to === undefined ? E.left(`element type ${dtype}`) : E.right([tensorType(to, type.right.shape)])
  },
  links: 'opaque',
  evaluate: (ctx) => {
    const shape = targetShape(ctx)
    const [type] = ctx.outputs
    if (shape?.length !== 2 || type?.kind !== 'tensor' || !isNumeric(type.dtype)) return undefined
    return [generate(type.dtype, shape, ([row = 0, column = 0]) => (column - row === ctx.attrs.k ? 1 : 0))]
  },
})
