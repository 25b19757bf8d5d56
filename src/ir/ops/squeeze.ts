import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { integersOn } from '../families/movement.ts'
import { reshaping } from '../families/reshaping.ts'
import { isGiven } from '../infer.ts'
import { isStatic, normalizeAxis } from '../type.ts'

export interface SqueezeAttributes {
  /** An input since opset 13. */
  readonly axes: ReadonlyArray<number> | undefined
}

/** Leaves out axes of size 1: the given ones, or all. */
export const Squeeze = reshaping<'Squeeze', SqueezeAttributes>(
  'Squeeze',
  [1, Infinity],
  { axes: optionalInts },
  (ctx, from) => {
    const axes = ctx.attrs.axes ?? integersOn(ctx, 1)
    if (axes === undefined) {
      return E.right(isGiven(ctx, 1) || !from.every(isStatic) ? undefined : from.filter((dim) => dim !== 1))
    }
    // The specification does not say whether an empty list means none or all.
    if (axes.length === 0) return E.left('axes is empty')
    const gone = new Set<number>()
    for (const axis of axes) {
      const at = normalizeAxis(axis, from.length)
      const dim = at === undefined ? undefined : from[at]
      if (at === undefined || (isStatic(dim) && dim !== 1)) return E.left(`axis ${axis} of [${from.join(',')}]`)
      gone.add(at)
    }
    return E.right(from.filter((_, a) => !gone.has(a)))
  },
)
