import { int, optionalInt, string } from '../attributes.ts'
import { dtypes } from '../dtype.ts'
import { casting } from '../families/casting.ts'

export interface CastAttributes {
  /** Number of the element type in ONNX's TensorProto.DataType, from 1. */
  readonly to: number | undefined
  /** For conversions to 8-bit floats, since opset 19. */
  readonly saturate: number
  /** For conversions to float8e8m0, since opset 24. */
  readonly round_mode: 'up' | 'down' | 'nearest'
}

/** Every element converted to type `to`. */
export const Cast = casting<'Cast', CastAttributes>(
  'Cast',
  [6, Infinity],
  { to: optionalInt, saturate: int(1), round_mode: string('up', 'down', 'nearest') },
  (ctx) => dtypes[(ctx.attrs.to ?? 0) - 1],
)
