/** What the attention operators of ONNX Runtime have in common. */
import type { InferContext, ValueId } from '../op.ts'
import { Split } from '../ops/split.ts'
import { int64s } from '../tensor.ts'
import { type Dim, type Shape, unknownDim, type ValueType } from '../type.ts'
import { attended, mergeHeads, splitHeads } from './attention.ts'
import type { Parts } from './composition.ts'

/** Whether two sizes are known to be equal. */
const same = (a: Dim | undefined, b: Dim | undefined): boolean => a !== undefined && a === b

/**
 * Why a mask cannot be looked into, if it cannot: it counts the keys of each sample (`[batch]`), or tells for each key
 * (`[batch, keys]`), or for each query and key, whether it takes part.
 */
export const maskMisfit = (
  mask: ValueType | undefined,
  [batch, queries, keys]: readonly [Dim | undefined, Dim | undefined, Dim | undefined],
): string | undefined => {
  if (mask === undefined) return undefined
  if (mask.kind !== 'tensor' || mask.shape === undefined || mask.dtype !== 'int32') return 'a mask of unknown shape'
  const expected = { 1: [batch], 2: [batch, keys], 3: [batch, queries, keys] }[mask.shape.length]
  const fits = expected?.every((dim, axis) => same(dim, mask.shape?.[axis])) ?? false
  return fits ? undefined : 'a mask of another size'
}

/** The shape of keys or values that output `output` keeps: as many places as before and as are new, which is not known. */
export const stateShape = (
  ctx: InferContext<unknown>,
  output: number,
  batch: Dim | undefined,
  heads: number,
  size: number,
): Shape => {
  const name = ctx.outputNames[output] ?? ''
  return [batch ?? unknownDim(name, 0), heads, unknownDim(name, 2), size]
}

/** Attention of what a projection makes, queries, keys and values one after another, the latter `wide`: `[batch, places, wide]`. */
export const attendedToItself = (
  p: Parts,
  attrs: {
    readonly num_heads: number
    readonly scale: number
    readonly mask_filter_value: number
    readonly unidirectional: number
  },
  [width, wide]: readonly [number, number],
  { projected, mask, bias }: Readonly<Record<'projected' | 'mask' | 'bias', ValueId>>,
): ValueId => {
  const heads = attrs.num_heads
  const sizes = p.constant(int64s([width, width, wide]))
  const [q = '', k = '', v = ''] = p.outputs(Split, [projected, sizes], 3, { axis: 2 })
  const y = attended(p, {
    q: splitHeads(p, q, heads, width / heads),
    k: splitHeads(p, k, heads, width / heads),
    v: splitHeads(p, v, heads, wide / heads),
    scale: attrs.scale === 0 ? 1 / Math.sqrt(width / heads) : attrs.scale,
    bias,
    mask,
    filter: attrs.mask_filter_value,
    isCausal: attrs.unidirectional !== 0,
  })
  return mergeHeads(p, y, wide)
}
