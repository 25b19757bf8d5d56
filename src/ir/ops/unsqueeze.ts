import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { integersOn } from '../families/movement.ts'
import { reshaping } from '../families/reshaping.ts'
import { type Dim, normalizeAxis } from '../type.ts'

export interface UnsqueezeAttributes {
  /** An input since opset 13. */
  readonly axes: ReadonlyArray<number> | undefined
}

/** Puts axes of size 1 at the given places of the output. */
export const Unsqueeze = reshaping<'Unsqueeze', UnsqueezeAttributes>(
  'Unsqueeze',
  [1, Infinity],
  { axes: optionalInts },
  (ctx, from) => {
    const axes = ctx.attrs.axes ?? integersOn(ctx, 1)
    if (axes === undefined) return E.right(undefined)
    const rank = from.length + axes.length
    const added = new Set<number>()
    for (const axis of axes) {
      const at = normalizeAxis(axis, rank)
      if (at === undefined || added.has(at))
        return E.left(`axes ${axes.join(', ')} for an input of rank ${from.length}`)
      added.add(at)
    }
    const rest = from.values()
    const out: Dim[] = []
    for (let a = 0; a < rank; a++) out.push(added.has(a) ? 1 : (rest.next().value ?? 1))
    return E.right(out)
  },
)
