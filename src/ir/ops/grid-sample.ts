import * as E from 'fp-ts/lib/Either.js'
import { int, string } from '../attributes.ts'
import { rankedInput } from '../infer.ts'
import { inputShape, outputShape, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic, tensorType } from '../type.ts'

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
  schema: {
    align_corners: int(0),
    mode: string('linear', 'nearest', 'cubic', 'bilinear', 'bicubic'),
    padding_mode: string('zeros', 'border', 'reflection'),
  },
  inferTypes: (ctx) => {
    const x = rankedInput(ctx, 0)
    if (E.isLeft(x)) return x
    const grid = rankedInput(ctx, 1)
    if (E.isLeft(grid)) return grid
    const [n, c] = x.right.shape
    if (n === undefined || c === undefined || grid.right.shape.length !== x.right.shape.length) {
      return E.left(`an input of rank ${x.right.shape.length} and a grid of rank ${grid.right.shape.length}`)
    }
    return E.right([tensorType(x.right.dtype, [n, c, ...grid.right.shape.slice(1, -1)])])
  },
  links: (ctx) => {
    const channels = inputShape(ctx, 0)?.[1]
    return isStatic(channels) && channels === outputShape(ctx)?.[1] ? [sameIndex(0, 1, 0, 1)] : []
  },
  evaluate: () => undefined,
})
