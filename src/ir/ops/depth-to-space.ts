import { optionalInt, string } from '../attributes.ts'
import { type BlockAttributes, blockMovement } from '../families/blocks.ts'
import { defineOp } from '../op.ts'

export interface DepthToSpaceAttributes extends BlockAttributes {
  readonly mode: 'DCR' | 'CRD'
}

/** `[N, b·b·C, H, W] -> [N, C, b·H, b·W]`. */
export const DepthToSpace = defineOp<'DepthToSpace', DepthToSpaceAttributes>({
  name: 'DepthToSpace',
  versions: [1, Infinity],
  schema: { blocksize: optionalInt, mode: string('DCR', 'CRD') },
  ...blockMovement('deep'),
})
