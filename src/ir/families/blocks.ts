/**
 * Channels moved into blocks of space and back: `deep[N, b·b·C, H, W]` and `wide[N, C, b·H, b·W]` hold the same elements. A deep
 * channel `k·C + c` (or `c·b·b + k`, column-row-depth) is place `k`, counted by rows, of every block of wide channel `c`.
 */
import * as E from 'fp-ts/lib/Either.js'
import { move, stridesOf } from '../evaluate.ts'
import { derivedDim } from '../infer.ts'
import { inputShape, outputShape, periodic, sameIndex } from '../links.ts'
import { type AxisLink, type NodeContext, type OpDef } from '../op.ts'
import { type Dim, isStatic, type Shape } from '../type.ts'
import { movedType, targetShape } from './movement.ts'

export interface BlockAttributes {
  readonly blocksize: number | undefined
  /** Depth-column-row or column-row-depth: whether the block counts before the channel or after it. */
  readonly mode?: 'DCR' | 'CRD'
}

type Shared = 'inferTypes' | 'links' | 'constant' | 'identity' | 'total' | 'evaluate'

/** The answers of the operator whose input is the deep side, or the wide one. */
export const blockMovement = <A extends BlockAttributes>(from: 'deep' | 'wide'): Pick<OpDef<string, A>, Shared> => ({
  inferTypes: (ctx) =>
    movedType(ctx, (shape) => (from === 'deep' ? widened : deepened)(shape, ctx.attrs.blocksize ?? 0)),
  links: (ctx) => {
    const [input, output] = [inputShape(ctx, 0), outputShape(ctx)]
    if (input === undefined || output === undefined) return 'opaque'
    const [deep, wide] = from === 'deep' ? [input, output] : [output, input]
    const links = linksFromDeep(deep, wide, ctx.attrs)
    return from === 'deep' ? links : links.map(reversed)
  },
  constant: (_ctx, [x]) => x ?? undefined,
  identity: (ctx) => (ctx.attrs.blocksize === 1 ? 0 : undefined),
  total: true,
  evaluate: (ctx, [x]) => {
    const shape = targetShape(ctx)
    if (!x || !shape) return undefined
    const strides = stridesOf(x.shape)
    const y = move(x, shape, (from === 'deep' ? sourceInDeep : sourceInWide)(ctx, strides, x.shape, shape))
    return y && [y]
  },
})

/** Batch, channels, height and width, if a shape has these and blocks have a size. */
const fourOf = (shape: Shape, b: number): E.Either<string, readonly [Dim, Dim, Dim, Dim]> => {
  const [n, c, h, w, ...others] = shape
  return n === undefined || c === undefined || h === undefined || w === undefined || others.length > 0 || b < 1
    ? E.left('an input of rank 4 and a positive blocksize are required')
    : E.right([n, c, h, w])
}

const times = (dim: Dim, by: number): Dim => derivedDim(`times(${by})`, [dim], (x) => x * by)
const per = (dim: Dim, by: number): Dim => derivedDim(`per(${by})`, [dim], (x) => x / by)

const widened = (shape: Shape, b: number): E.Either<string, Shape> => {
  const four = fourOf(shape, b)
  if (E.isLeft(four)) return four
  const [n, c, h, w] = four.right
  if (isStatic(c) && c % (b * b) !== 0) return E.left(`${c} channels do not fill blocks of ${b} by ${b}`)
  return E.right([n, per(c, b * b), times(h, b), times(w, b)])
}

const deepened = (shape: Shape, b: number): E.Either<string, Shape> => {
  const four = fourOf(shape, b)
  if (E.isLeft(four)) return four
  const [n, c, h, w] = four.right
  if ([h, w].some((dim) => isStatic(dim) && dim % b !== 0))
    return E.left(`${h} by ${w} is not filled by blocks of ${b}`)
  return E.right([n, times(c, b * b), per(h, b), per(w, b)])
}

const linksFromDeep = (deep: Shape, wide: Shape, { blocksize, mode }: BlockAttributes): ReadonlyArray<AxisLink> => {
  const b = blocksize ?? 1
  const links: AxisLink[] = isStatic(deep[0]) ? [sameIndex(0, 0, 0, 0)] : []
  const [channels, groups] = [deep[1], wide[1]]
  if (isStatic(channels) && isStatic(groups)) {
    links.push({ ...sameIndex(0, 1, 0, 1), into: periodic(channels, groups, mode === 'CRD' ? b * b : 1) })
  }
  for (const axis of [2, 3]) {
    const size = wide[axis]
    if (isStatic(size)) links.push({ ...sameIndex(0, axis, 0, axis), from: periodic(size, size / b, b) })
  }
  return links
}

/** The same link with input and output changed over. */
const reversed = ({ from, into, ...link }: AxisLink): AxisLink => ({
  ...link,
  ...(into === undefined ? {} : { from: into }),
  ...(from === undefined ? {} : { into: from }),
})

type Source = (index: Int32Array) => number
type Sizes = ReadonlyArray<number>

/** Where an element of the wide side lies in the deep one. */
const sourceInDeep = (
  { attrs }: NodeContext<BlockAttributes>,
  [sn = 0, sc = 0, sh = 0, sw = 0]: Sizes,
  _: Sizes,
  to: Sizes,
): Source => {
  const [b, channels] = [attrs.blocksize ?? 1, to[1] ?? 0]
  return ([n = 0, c = 0, h = 0, w = 0]) => {
    const k = (h % b) * b + (w % b)
    const channel = attrs.mode === 'CRD' ? c * b * b + k : k * channels + c
    return n * sn + channel * sc + Math.floor(h / b) * sh + Math.floor(w / b) * sw
  }
}

/** Where an element of the deep side lies in the wide one. */
const sourceInWide = (
  { attrs }: NodeContext<BlockAttributes>,
  [sn = 0, sc = 0, sh = 0, sw = 0]: Sizes,
  from: Sizes,
): Source => {
  const [b, channels] = [attrs.blocksize ?? 1, from[1] ?? 1]
  return ([n = 0, o = 0, h = 0, w = 0]) => {
    const [k, c] =
      attrs.mode === 'CRD' ? [o % (b * b), Math.floor(o / (b * b))] : [Math.floor(o / channels), o % channels]
    return n * sn + c * sc + (h * b + Math.floor(k / b)) * sh + (w * b + (k % b)) * sw
  }
}
