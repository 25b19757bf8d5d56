import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { type DType, dtypes } from '../dtype.ts'
import { dtypeOf } from '../families/movement.ts'
import { isQuantized, quantize, quantized, scaledLinks, scalingOf } from '../families/quantization.ts'
import { tensorInput } from '../infer.ts'
import { defineOp, type InferContext } from '../op.ts'
import { tensorOf } from '../tensor.ts'
import { tensorType } from '../type.ts'

export interface QuantizeLinearAttributes {
  readonly axis: number
  readonly block_size: number
  /** Numbers of element types in ONNX's TensorProto.DataType; 0 leaves the choice to the other operands. */
  readonly output_dtype: number
  readonly precision: number
  readonly saturate: number
}

const targetOf = (ctx: InferContext<QuantizeLinearAttributes>): DType | undefined =>
  dtypeOf(ctx.inputs[2]) ?? (ctx.attrs.output_dtype === 0 ? 'uint8' : dtypes[ctx.attrs.output_dtype - 1])

/** `y = saturate(round(x / scale) + zero_point)`, ties to even. A constant becomes the integer that it is rounded to. */
export const QuantizeLinear = defineOp<'QuantizeLinear', QuantizeLinearAttributes>({
  name: 'QuantizeLinear',
  versions: [10, Infinity],
  schema: { axis: int(1), block_size: int(0), output_dtype: int(0), precision: int(0), saturate: int(1) },
  mixesTypes: true,
  inferTypes: (ctx) => {
    const type = tensorInput(ctx, 0)
    if (E.isLeft(type)) return type
    const to = targetOf(ctx)
    return to === undefined
      ? E.left(`element type ${ctx.attrs.output_dtype}`)
      : E.right([tensorType(to, type.right.shape)])
  },
  links: (ctx) => scaledLinks(ctx),
  constant: (ctx, [x, scale, zero]) => {
    const to = targetOf(ctx)
    if (typeof x !== 'number' || typeof scale !== 'number' || to === undefined || !isQuantized(to)) return undefined
    const offset = ctx.node.inputs[2] ? zero : 0
    return typeof offset === 'number' ? quantized(x / scale, offset, to) : undefined
  },
  evaluate: (ctx, [x, scale, zero]) => {
    const to = targetOf(ctx)
    const scaling = scalingOf(ctx)
    if (x === undefined || scale === undefined || to === undefined || scaling === undefined) return undefined
    const y = quantize(x, scale, zero, scaling, to)
    return y && [tensorOf(to, x.shape, y)]
  },
})
