import { int, string } from '../attributes.ts'
import { casting } from '../families/casting.ts'
import { dtypeOf } from '../families/movement.ts'
import type { CastAttributes } from './cast.ts'

/** Every element of the first input converted to the type of the second, whose elements are not read. */
export const CastLike = casting<'CastLike', Omit<CastAttributes, 'to'>>(
  'CastLike',
  [15, Infinity],
  { saturate: int(1), round_mode: string('up', 'down', 'nearest') },
  (ctx) => dtypeOf(ctx.inputs[1]),
)
