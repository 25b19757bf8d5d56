import * as E from 'fp-ts/lib/Either.js'
import { int, string } from '../attributes.ts'
import { needsPositions } from '../families/half-precision.ts'
import { movedType } from '../families/movement.ts'
import { inputShape, outputShape, sameIndex, shapeOf } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic } from '../type.ts'

export interface GridSampleAttributes {
  readonly align_corners: number
  /** `bilinear` and `bicubic` until opset 20. */
  readonly mode: 'linear' | 'nearest' | 'cubic' | 'bilinear' | 'bicubic'
  readonly padding_mode: 'zeros' | 'border' | 'reflection'
}

/** `x[N, C, ..]` read at the places that the grid `[N, .., d]` names, giving `[N, C, ..]` with the grid's sizes. */
export const GridSample = defineOp<'GridSample', GridSampleAttributes>({
  name: 'GridSample',
  versions: [16, Infinity],
  float32: needsPositions,
  schema: {
    align_corners: int(0),
    mode: string('linear', 'nearest', 'cubic', 'bilinear', 'bicubic'),
    padding_mode: string('zeros', 'border', 'reflection'),
  },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const grid = shapeOf(ctx.inputs[1])
      return grid === undefined || grid.length === from.length
        ? E.right(grid && [...from.slice(0, 2), ...grid.slice(1, -1)])
        : E.left(`an input of rank ${from.length} and a grid of rank ${grid.length}`)
    }),
  links: (ctx) => {
    const channels = inputShape(ctx, 0)?.[1]
    return isStatic(channels) && channels === outputShape(ctx)?.[1] ? [sameIndex(0, 1, 0, 1)] : []
  },
})
