import { optionalInt } from '../attributes.ts'
import { blockMovement } from '../families/blocks.ts'
import { defineOp } from '../op.ts'

export interface SpaceToDepthAttributes {
  readonly blocksize: number | undefined
}

/** `[N, C, b·H, b·W] -> [N, b·b·C, H, W]`: place `k` of every block becomes channels `k·C ..`. */
export const SpaceToDepth = defineOp<'SpaceToDepth', SpaceToDepthAttributes>({
  name: 'SpaceToDepth',
  versions: [1, Infinity],
  schema: { blocksize: optionalInt },
  ...blockMovement('wide'),
})
