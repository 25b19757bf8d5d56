import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { dtypes, isFloat } from '../dtype.ts'
import { dtypeOf } from '../families/movement.ts'
import { isQuantized, scaledLinks, scalingOf } from '../families/quantization.ts'
import { tensorInput } from '../infer.ts'
import { roundTo } from '../numerics.ts'
import { defineOp, type NodeContext } from '../op.ts'
import { type Held, materialize, type Tensor } from '../tensor.ts'
import { staticShape, tensorType } from '../type.ts'

export interface DequantizeLinearAttributes {
  readonly axis: number
  readonly block_size: number
  /** Number of the element type in ONNX's TensorProto.DataType; 0 is that of the scale. */
  readonly output_dtype: number
}

/** `y = (x - zero_point) · scale`. A constant is held as the integers that it is made from. */
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
  links: (ctx) => scaledLinks(ctx),
  constant: (ctx, [x, scale, zero]) => {
    const [type] = ctx.outputs
    if (typeof x !== 'number' || typeof scale !== 'number' || type?.kind !== 'tensor') return undefined
    const offset = ctx.node.inputs[2] ? zero : 0
    if (typeof offset !== 'number') return undefined
    const y = roundTo(type.dtype, (x - offset) * scale)
    return Number.isFinite(y) ? y : undefined
  },
  integers: (ctx) => [{ port: 0, scale: 1, zero: 2, ...scalingOf(ctx) }],
  hold: (ctx) => {
    const [stored, scale, zero] = [ctx.constant(0), ctx.constant(1), ctx.constant(2)]
    if (stored === undefined || scale === undefined || (ctx.node.inputs[2] && zero === undefined)) return undefined
    return heldBy(ctx, stored, scale, zero)
  },
  evaluate: (ctx, [x, scale, zero]) => {
    const held = x && scale && heldBy(ctx, x, scale, zero)
    return held && [materialize(held)]
  },
})

const heldBy = (
  ctx: NodeContext<DequantizeLinearAttributes>,
  stored: Tensor,
  scale: Tensor,
  zero: Tensor | undefined,
): Held | undefined => {
  const [type] = ctx.outputs
  const shape = type?.kind === 'tensor' ? staticShape(type.shape) : undefined
  if (type?.kind !== 'tensor' || shape === undefined || !isFloat(type.dtype)) return undefined
  const scaling = scalingOf(ctx)
  if (!isQuantized(stored.dtype) || !isFloat(scale.dtype) || scaling === undefined) return undefined
  return { tag: 'Held', dtype: type.dtype, shape, stored, scale, zero, ...scaling, node: ctx.node }
}
