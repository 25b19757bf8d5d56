import * as E from 'fp-ts/lib/Either.js'
import { float, optionalInts, string } from '../attributes.ts'
import { move, stridesOf } from '../evaluate.ts'
import { integersOn, movedType, targetShape, withOperand } from '../families/movement.ts'
import { gatherOperands } from '../gather-operands.ts'
import { derivedDim, isGiven } from '../infer.ts'
import { inputShape, outputShape, sameIndex, shifted } from '../links.ts'
import { defineOp, type InferContext, type NodeContext } from '../op.ts'
import { uniformValue } from '../slices.ts'
import { int64s, materialize, tensorOf } from '../tensor.ts'
import { isStatic, normalizeAxis, unknownDim } from '../type.ts'

export interface PadAttributes {
  readonly mode: 'constant' | 'reflect' | 'edge' | 'wrap'
  /** Begins of all axes, then ends. An input since opset 11, and so is the value. */
  readonly pads: ReadonlyArray<number> | undefined
  readonly value: number
}

type Pads = ReadonlyArray<readonly [begin: number, end: number]>

/** Padding of every axis; negative where elements are cut off. Undefined where it is computed. */
const axisPads = (ctx: InferContext<PadAttributes>, rank: number): Pads | undefined => {
  const pads = ctx.opset < 11 ? ctx.attrs.pads : integersOn(ctx, 1)
  const axes = isGiven(ctx, 3)
    ? integersOn(ctx, 3)?.map((a) => normalizeAxis(a, rank))
    : Array.from({ length: rank }, (_, a) => a)
  if (pads === undefined || axes === undefined || pads.length !== 2 * axes.length) return undefined
  const out: Array<readonly [number, number]> = Array.from({ length: rank }, () => [0, 0] as const)
  for (const [i, axis] of axes.entries()) {
    if (axis === undefined) return undefined
    out[axis] = [pads[i] ?? 0, pads[i + axes.length] ?? 0]
  }
  return out
}

const knownPads = new WeakMap<NodeContext<PadAttributes>, Pads>()

/** What padding of mode `constant` holds; undefined where it is computed. */
export const fillOf = (ctx: NodeContext<PadAttributes>): number | undefined => {
  if (ctx.opset < 11) return ctx.attrs.value
  const fill = ctx.constant(2)
  return isGiven(ctx, 2) ? fill && uniformValue(fill) : 0
}

const isRewritable = (ctx: NodeContext<PadAttributes>): boolean =>
  ctx.opset < 11 || (ctx.constant(1) !== undefined && (!isGiven(ctx, 3) || ctx.constant(3) !== undefined))

/** Where output index `o` comes from along an axis of `size` after `begin` places of padding; -1 from padding. */
const sourceOf = (mode: PadAttributes['mode'], o: number, begin: number, size: number): number => {
  const i = o - begin
  if (i >= 0 && i < size) return i
  if (mode === 'constant') return -1
  if (mode === 'edge') return i < 0 ? 0 : size - 1
  if (mode === 'wrap') return ((i % size) + size) % size
  const period = Math.max(1, 2 * (size - 1))
  const place = ((i % period) + period) % period
  return Math.min(place, period - place)
}

/**
 * Padding at the begin and end of each axis. Along a padded axis the padding of mode `constant` is channels of its own;
 * along other axes a channel stays constant where its padding holds the same number.
 */
export const Pad = defineOp<'Pad', PadAttributes>({
  name: 'Pad',
  versions: [2, Infinity],
  schema: { mode: string('constant', 'reflect', 'edge', 'wrap'), pads: optionalInts, value: float(0) },
  inferTypes: (ctx) =>
    movedType(ctx, (from) => {
      const pads = axisPads(ctx, from.length)
      const name = ctx.outputNames[0] ?? ''
      if (pads === undefined) return E.right(from.map((_, axis) => unknownDim(name, axis)))
      const to = from.map((dim, axis) => {
        const [begin, end] = pads[axis] ?? [0, 0]
        return begin === 0 && end === 0 ? dim : derivedDim(`pad(${begin + end})`, [dim], (n) => n + begin + end)
      })
      return to.some((dim) => isStatic(dim) && dim < 0)
        ? E.left(`pads ${pads.join(' ')} of [${from.join(',')}]`)
        : E.right(to)
    }),
  links: (ctx) => {
    const [from, to] = [inputShape(ctx, 0), outputShape(ctx)]
    const pads = from && axisPads(ctx, from.length)
    if (from === undefined || to === undefined || pads === undefined || !isRewritable(ctx)) return 'opaque'
    return from.flatMap((dim, axis) => {
      const [[begin, end] = [0, 0], size] = [pads[axis], to[axis]]
      if (!isStatic(dim) || !isStatic(size)) return []
      if (begin === 0 && end === 0) return [sameIndex(0, axis, 0, axis)]
      if (ctx.attrs.mode !== 'constant') return []
      return [{ ...sameIndex(0, axis, 0, axis), from: shifted(size, dim, -begin) }]
    })
  },
  constant: (ctx, [x], _output, axis) => {
    // Asked for each channel of what may be a long axis.
    const pads = knownPads.get(ctx) ?? axisPads(ctx, inputShape(ctx, 0)?.length ?? 0)
    if (pads === undefined) return undefined
    knownPads.set(ctx, pads)
    const fill = ctx.attrs.mode === 'constant' ? fillOf(ctx) : undefined
    if (x === null) return fill
    const bordered = pads.some(([begin, end], a) => a !== axis && (begin > 0 || end > 0))
    return x === fill || ctx.attrs.mode !== 'constant' || !bordered ? x : undefined
  },
  shrink: (s) => {
    const from = inputShape(s, 0) ?? []
    const pads = axisPads(s, from.length) ?? []
    const left = pads.map(([begin, end], axis) => {
      const size = Number(from[axis])
      const [ins, outs] = [s.keptInput(0, axis), s.keptOutput(0, axis)]
      // How many of `count` indices from `low` on are kept; an axis of unknown size keeps all.
      const among = (kept: Int32Array | undefined, low: number, count: number): number =>
        kept?.filter((i) => i >= low && i < low + count).length ?? count
      return [
        begin < 0 ? -among(ins, 0, -begin) : among(outs, 0, begin),
        end < 0 ? -among(ins, size + end, -end) : among(outs, begin + size, end),
      ] as const
    })
    const flat = [...left.map(([begin]) => begin), ...left.map(([, end]) => end)]
    const rewrite = gatherOperands(s)
    if (s.opset < 11) {
      const nodes = rewrite.nodes.map((node) => ({ ...node, attrs: { ...s.attrs, pads: flat } }))
      return { nodes, constants: rewrite.constants }
    }
    const nodes = rewrite.nodes.map((node) => ({ ...node, inputs: node.inputs.slice(0, 3) }))
    return withOperand(s, { nodes, constants: rewrite.constants }, 1, int64s(flat))
  },
  identity: (ctx) => {
    const from = inputShape(ctx, 0)
    return from && axisPads(ctx, from.length)?.every(([begin, end]) => begin === 0 && end === 0) ? 0 : undefined
  },
  zeroPadding: (ctx) => {
    const pads = axisPads(ctx, inputShape(ctx, 0)?.length ?? 0)
    if (ctx.attrs.mode !== 'constant' || pads === undefined || pads.length < 3) return undefined
    if (fillOf(ctx) !== 0 || !isGiven(ctx, 0)) return undefined
    if (pads.some(([begin, end], axis) => begin < 0 || end < 0 || (axis < 2 && begin + end > 0))) return undefined
    return [...pads.slice(2).map(([begin]) => begin), ...pads.slice(2).map(([, end]) => end)]
  },
  total: true,
  evaluate: (ctx, [x, , value]) => {
    const shape = targetShape(ctx)
    const pads = x && axisPads(ctx, x.shape.length)
    if (!x || !shape || !pads) return undefined
    const { mode } = ctx.attrs
    const crops = pads.some(([begin, end]) => begin < 0 || end < 0)
    // Of a cropped axis the other modes would repeat what was cut off; ONNX does not say which.
    if (mode !== 'constant' && (crops || x.shape.includes(0))) return undefined
    const strides = stridesOf(x.shape)
    const fill = value ? materialize(value).bytes : tensorOf(x.dtype, [], [ctx.opset < 11 ? ctx.attrs.value : 0]).bytes
    const y = move(
      x,
      shape,
      (index) => {
        let at = 0
        for (let a = 0; a < shape.length; a++) {
          const i = sourceOf(mode, index[a] ?? 0, pads[a]?.[0] ?? 0, x.shape[a] ?? 0)
          if (i < 0) return -1
          at += i * (strides[a] ?? 0)
        }
        return at
      },
      fill,
    )
    return y && [y]
  },
})
