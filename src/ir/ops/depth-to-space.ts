import * as E from 'fp-ts/lib/Either.js'
import { optionalInt, string } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { movedType, targetShape } from '../families/movement.ts'
import { derivedDim } from '../infer.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import { type AxisLink, defineOp } from '../op.ts'
import { isStatic } from '../type.ts'

export interface DepthToSpaceAttributes {
  readonly blocksize: number | undefined
  /** Depth-column-row or column-row-depth: whether the block counts before the channel or after it. */
  readonly mode: 'DCR' | 'CRD'
}

/**
 * `[N, b·b·C, H, W] -> [N, C, b·H, b·W]`: input channel `k·C + c` (DCR) or `c·b·b + k` (CRD) becomes place `k`, counted
 * by rows, of every block of output channel `c`.
 */
export const DepthToSpace = defineOp<'DepthToSpace', DepthToSpaceAttributes>({
  name: 'DepthToSpace',
  versions: [1, Infinity],
  schema: { blocksize: optionalInt, mode: string('DCR', 'CRD') },
  inferTypes: (ctx) =>
    movedType(ctx, ([n, c, h, w, ...others]) => {
      const b = ctx.attrs.blocksize ?? 0
      if (n === undefined || c === undefined || h === undefined || w === undefined || others.length > 0 || b < 1) {
        return E.left('an input of rank 4 and a positive blocksize are required')
      }
      if (isStatic(c) && c % (b * b) !== 0) return E.left(`${c} channels do not fill blocks of ${b} by ${b}`)
      const larger = (dim: typeof h) => derivedDim(`times(${b})`, [dim], (x) => x * b)
      return E.right([n, derivedDim(`per(${b * b})`, [c], (x) => x / (b * b)), larger(h), larger(w)])
    }),
  links: (ctx) => {
    const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
    const b = ctx.attrs.blocksize ?? 1
    if (from === undefined || to === undefined) return 'opaque'
    const links: AxisLink[] = isStatic(from[0]) ? [sameIndex(0, 0, 0, 0)] : []
    const [channels, groups] = [from[1], to[1]]
    if (isStatic(channels) && isStatic(groups)) {
      const into = periodic(channels, groups, ctx.attrs.mode === 'DCR' ? 1 : b * b)
      links.push({ ...sameIndex(0, 1, 0, 1), into })
    }
    for (const axis of [2, 3]) {
      const size = to[axis]
      if (isStatic(size)) links.push({ ...sameIndex(0, axis, 0, axis), from: periodic(size, size / b, b) })
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
    const channels = shape[1] ?? 0
    const y = move(x, shape, ([n = 0, c = 0, h = 0, w = 0]) => {
      const k = (h % b) * b + (w % b)
      const channel = ctx.attrs.mode === 'DCR' ? k * channels + c : c * b * b + k
      return n * sn + channel * sc + Math.floor(h / b) * sh + Math.floor(w / b) * sw
    })
    return y && [y]
  },
})
