import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { dtypes } from '../dtype.ts'
import { dtypeOf } from '../families/movement.ts'
import { tensorInput } from '../infer.ts'
import { defineOp } from '../op.ts'
import { tensorType } from '../type.ts'

export interface QuantizeLinearAttributes {
  readonly axis: number
  readonly block_size: number
  /** Numbers of element types in ONNX's TensorProto.DataType; 0 leaves the choice to the other operands. */
  readonly output_dtype: number
  readonly precision: number
  readonly saturate: number
}

/** `y = saturate(round(x / scale) + zero_point)`. */
export const QuantizeLinear = defineOp<'QuantizeLinear', QuantizeLinearAttributes>({
  name: 'QuantizeLinear',
  versions: [10, Infinity],
  schema: { axis: int(1), block_size: int(0), output_dtype: int(0), precision: int(0), saturate: int(1) },
  mixesTypes: true,
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const to = dtypeOf(ctx.inputs[2]) ?? (ctx.attrs.output_dtype === 0 ? 'uint8' : dtypes[ctx.attrs.output_dtype - 1])
    return to === undefined
      ? E.left(`element type ${ctx.attrs.output_dtype}`)
      : E.right([tensorType(to, type.right.shape)])
  },
  links: 'opaque',
})
