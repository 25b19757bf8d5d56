import * as E from 'fp-ts/lib/Either.js'
import { float, int, string } from '../attributes.ts'
import { needsPositions } from '../families/half-precision.ts'
import { tensorInput } from '../infer.ts'
import { inputShape, sameIndex, shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic, tensorType, unknownDim } from '../type.ts'

export interface RoiAlignAttributes {
  /** Since opset 16; before, regions are not shifted by half a pixel. */
  readonly coordinate_transformation_mode: 'half_pixel' | 'output_half_pixel'
  readonly mode: 'avg' | 'max'
  readonly output_height: number
  readonly output_width: number
  readonly sampling_ratio: number
  readonly spatial_scale: number
}

/** `x[N, C, H, W]` pooled over regions `[R, 4]` of the images `[R]`: `[R, C, output_height, output_width]`. */
export const RoiAlign = defineOp<'RoiAlign', RoiAlignAttributes>({
  name: 'RoiAlign',
  versions: [10, Infinity],
  float32: needsPositions,
  schema: {
    coordinate_transformation_mode: string('half_pixel', 'output_half_pixel'),
    mode: string('avg', 'max'),
    output_height: int(1),
    output_width: int(1),
    sampling_ratio: int(0),
    spatial_scale: float(1),
  },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    if (E.isLeft(x)) return x
    const name = ctx.outputNames[0] ?? ''
    const [regions, channels] = [shapeOf(ctx.inputs[1])?.[0], x.right.shape?.[1]]
    const { output_height: height, output_width: width } = ctx.attrs
    return E.right([
      tensorType(x.right.dtype, [regions ?? unknownDim(name, 0), channels ?? unknownDim(name, 1), height, width]),
    ])
  },
  links: (ctx) => (isStatic(inputShape(ctx, 0)?.[1]) ? [sameIndex(0, 1, 0, 1)] : []),
})
