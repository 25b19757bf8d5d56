import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { dtypes } from '../dtype.ts'
import { dtypeOf } from '../families/movement.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { tensorType } from '../type.ts'

export interface DequantizeLinearAttributes {
  readonly axis: number
  readonly block_size: number
  /** Number of the element type in ONNX's TensorProto.DataType; 0 is that of the scale. */
  readonly output_dtype: number
}

/** `y = (x - zero_point) · scale`. */
export const DequantizeLinear = defineOp<'DequantizeLinear', DequantizeLinearAttributes>({
  name: 'DequantizeLinear',
  versions: [10, Infinity],
  schema: { axis: int(1), block_size: int(0), output_dtype: int(0) },
  mixesTypes: true,
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const to = ctx.attrs.output_dtype === 0 ? dtypeOf(ctx.inputs[1]) : dtypes[ctx.attrs.output_dtype - 1]
    return to === undefined
      ? E.left('the element type of the scale is unknown')
      : E.right([tensorType(to, type.right.shape)])
  },
  links: 'opaque',
})
