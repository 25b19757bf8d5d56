import * as E from 'fp-ts/lib/Either.js'
import { optionalInt } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { derivedDim } from '../infer.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import { type AxisLink, defineOp } from '../op.ts'
import { isStatic } from '../type.ts'

export interface SpaceToDepthAttributes {
  readonly blocksize: number | undefined
}

/** `[N, C, b·H, b·W] -> [N, b·b·C, H, W]`: place `k`, counted by rows, of every block becomes channels `k·C ..`. */
export const SpaceToDepth = defineOp<'SpaceToDepth', SpaceToDepthAttributes>({
  name: 'SpaceToDepth',
  versions: [1, Infinity],
  schema: { blocksize: optionalInt },
  inferTypes: (ctx) =>
    movedType(ctx, ([n, c, h, w, ...others]) => {
      const b = ctx.attrs.blocksize ?? 0
      if (n === undefined || c === undefined || h === undefined || w === undefined || others.length > 0 || b < 1) {
        return E.left('an input of rank 4 and a positive blocksize are required')
      }
      if ([h, w].some((dim) => isStatic(dim) && dim % b !== 0))
        return E.left(`${h} by ${w} is not filled by blocks of ${b}`)
      const smaller = (dim: typeof h) => derivedDim(`per(${b})`, [dim], (x) => x / b)
      return E.right([n, derivedDim(`times(${b * b})`, [c], (x) => x * b * b), smaller(h), smaller(w)])
    }),
  links: (ctx) => {
    const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
    const b = ctx.attrs.blocksize ?? 1
    if (from === undefined || to === undefined) return 'opaque'
    const links: AxisLink[] = isStatic(from[0]) ? [sameIndex(0, 0, 0, 0)] : []
    const [channels, spread] = [from[1], to[1]]
    if (isStatic(channels) && isStatic(spread)) {
      links.push({ ...sameIndex(0, 1, 0, 1), from: periodic(spread, channels) })
    }
    for (const axis of [2, 3]) {
      const size = from[axis]
      if (isStatic(size)) links.push({ ...sameIndex(0, axis, 0, axis), into: periodic(size, size / b, b) })
    }
    return links
  },
  constant: (_ctx, [x]) => x ?? undefined,
  identity: (ctx) => (ctx.attrs.blocksize === 1 ? 0 : undefined),
  total: true,
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const b = ctx.attrs.blocksize ?? 1
    const [sn = 0, sc = 0, sh = 0, sw = 0] = stridesOf(x.shape)
    const channels = x.shape[1] ?? 1
    const y = move(x, shape, ([n = 0, o = 0, h = 0, w = 0]) => {
      const k = Math.floor(o / channels)
      const [row, column] = [h * b + Math.floor(k / b), w * b + (k % b)]
      return n * sn + (o % channels) * sc + row * sh + column * sw
    })
    return y && [y]
  },
})
