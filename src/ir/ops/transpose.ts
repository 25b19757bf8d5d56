import * as E from 'fp-ts/lib/Either.js'
import { optionalInts } from '../attributes.ts'
import { stridesOf } from '../evaluate.ts'
import { movedType, strided, targetShape } from '../families/movement.ts'
import { inputShape, sameIndex } from '../links.ts'
import { defineOp } from '../op.ts'
import { isStatic } from '../type.ts'

export interface TransposeAttributes {
  /** Reversed order of axes where it is absent. */
  readonly perm: ReadonlyArray<number> | undefined
}

const order = (attrs: TransposeAttributes, rank: number): ReadonlyArray<number> =>
  attrs.perm ?? Array.from({ length: rank }, (_, a) => rank - 1 - a)

/** Axis `a` of the output is axis `perm[a]` of the input. */
export const Transpose = defineOp<'Transpose', TransposeAttributes>({
  name: 'Transpose',
  versions: [1, Infinity],
  schema: { perm: optionalInts },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const perm = order(ctx.attrs, from.length)
      const shape = perm.flatMap((a) => from[a] ?? [])
      return new Set(perm).size === from.length && shape.length === from.length
        ? E.right(shape)
        : E.left(`perm ${perm.join(', ')} of rank ${from.length}`)
    }),
  links: (ctx) => {
    const from = inputShape(ctx, 0)
    if (from === undefined) return 'opaque'
    return order(ctx.attrs, from.length).flatMap((a, o) => (isStatic(from[a]) ? [sameIndex(0, a, 0, o)] : []))
  },
  constant: (_ctx, [x]) => x ?? undefined,
  identity: (ctx) => {
    const from = inputShape(ctx, 0)
    return from && order(ctx.attrs, from.length).every((a, o) => a === o) ? 0 : undefined
  },
  shifts: (ctx, _port, { axes }) => {
    const perm = order(ctx.attrs, inputShape(ctx, 0)?.length ?? 0)
    return [...axes].flatMap((axis) => perm[axis] ?? [])
  },
  total: true,
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const strides = stridesOf(x.shape)
    const perm = order(ctx.attrs, shape.length)
    const y = strided(
      x,
      shape,
      perm.map((a) => strides[a] ?? 0),
    )
    return y && [y]
  },
})
