import * as E from 'fp-ts/lib/Either.js'
import { int } from '../attributes.ts'
import { reshaping } from '../families/reshaping.ts'
import { productOf } from '../sizes.ts'
import { unknownDim } from '../type.ts'

export interface FlattenAttributes {
  readonly axis: number
}

/** `[d0, .., dn] -> [d0 ⋯ d(axis-1), d(axis) ⋯ dn]`; an empty product is 1. */
export const Flatten = reshaping<'Flatten', FlattenAttributes>(
  'Flatten',
  [1, Infinity],
  { axis: int(1) },
  (ctx, from) => {
    const { axis } = ctx.attrs
    const at = axis < 0 ? axis + from.length : axis
    if (at < 0 || at > from.length) return E.left(`axis ${axis} of rank ${from.length}`)
    const name = ctx.outputNames[0] ?? ''
    return E.right([
      productOf(from.slice(0, at)) ?? unknownDim(name, 0),
      productOf(from.slice(at)) ?? unknownDim(name, 1),
    ])
  },
)
