import { int, optionalInt, string } from '../attributes.ts'
import { bitsOf, dtypes, isFloat } from '../dtype.ts'
import { casting } from '../families/casting.ts'
import { defineOp } from '../op.ts'

export interface CastAttributes {
  /** Number of the element type in ONNX's TensorProto.DataType, from 1. */
  readonly to: number | undefined
  /** For conversions to 8-bit floats, since opset 19. */
  readonly saturate: number
  /** For conversions to float8e8m0, since opset 24. */
  readonly round_mode: 'up' | 'down' | 'nearest'
}

/** Every element converted to type `to`. A constant in a wider type is held in its own. */
export const Cast = defineOp<'Cast', CastAttributes>({
  ...casting<'Cast', CastAttributes>(
    'Cast',
    [6, Infinity],
    { to: optionalInt, saturate: int(1), round_mode: string('up', 'down', 'nearest') },
    (ctx) => dtypes[(ctx.attrs.to ?? 0) - 1],
  ),
  hold: (ctx) => {
    const [stored, type] = [ctx.constant(0), ctx.outputs[0]]
    if (stored === undefined || type?.kind !== 'tensor' || !isFloat(stored.dtype) || !isFloat(type.dtype))
      return undefined
    if (bitsOf(stored.dtype) >= bitsOf(type.dtype)) return undefined
    return { tag: 'Held', dtype: type.dtype, shape: stored.shape, stored, axis: 0, node: ctx.node }
  },
})
