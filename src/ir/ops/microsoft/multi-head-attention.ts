import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../../attributes.ts'
import { attended, givesMore, goesOn, mergeHeads, splitHeads, tensorAt } from '../../families/attention.ts'
import { composition, type Parts } from '../../families/composition.ts'
import { maskMisfit, stateShape } from '../../families/microsoft-attention.ts'
import { tensorInput } from '../../infer.ts'
import { shapeOf } from '../../links.ts'
import type { InferContext, ValueId } from '../../op.ts'
import { int64s } from '../../tensor.ts'
import { type Dim, isStatic, tensorType } from '../../type.ts'
import { Add } from '../add.ts'
import { Split } from '../split.ts'

interface MultiHeadAttentionAttributes {
  readonly num_heads: number
  readonly unidirectional: number
  readonly mask_filter_value: number
  /** 0: one over the root of a head's size. */
  readonly scale: number
}

/** The sizes of a head of queries and keys, and of one of values, and how many keys there are. */
const sizesOf = ({
  attrs: { num_heads: heads },
  inputs,
}: InferContext<MultiHeadAttentionAttributes>): E.Either<
  string,
  { readonly size: number; readonly wide: number; readonly keys: Dim | undefined }
> => {
  const [q, k, v] = inputs.map(shapeOf)
  const width = q?.at(-1)
  if (q?.length !== 3 || !isStatic(width)) return E.left('queries of another kind')
  if (k === undefined || v === undefined || k.length !== v.length) return E.left('keys and values of another kind')
  const last = v.at(-1)
  if (!isStatic(last) || !(k.length === 3 || k.length === 4)) return E.left('keys and values of another kind')
  const wide = k.length === 3 ? last / heads : last
  const size = width / heads
  const fits = heads > 0 && k.at(-1) === (k.length === 3 ? width : size) && [size, wide].every(Number.isInteger)
  return fits ? E.right({ size, wide, keys: k[k.length - 2] }) : E.left(`${heads} heads`)
}

/** The operand on a port, of rank 3 with its share of the bias, with an axis of heads. */
const operand = (p: Parts, port: number, heads: number, size: number, bias: ValueId | undefined): ValueId => {
  const value = p.input(port)
  if (tensorAt(p, value)?.shape?.length === 4) return value
  return splitHeads(p, bias === undefined ? value : p.node(Add, [value, bias]), heads, size)
}

const base = composition<'com.microsoft.MultiHeadAttention', MultiHeadAttentionAttributes>(
  'com.microsoft.MultiHeadAttention',
  [1, 1],
  { num_heads: int(0), unidirectional: int(0), mask_filter_value: float(-10000), scale: float(0) },
  (p, ctx) => {
    const { attrs, inputs, opset } = ctx
    const sizes = sizesOf(ctx)
    if (E.isLeft(sizes)) return sizes
    if (opset < 13) return E.left(`opset ${opset}`)
    if (inputs.slice(6).some((type) => type !== undefined)) return E.left(goesOn)
    if ([1, 2, 3].some((output) => p.wants(output))) return E.left(givesMore)
    const [q] = inputs
    const [batch, queries] = shapeOf(q) ?? []
    const { size, wide, keys } = sizes.right
    if (q?.kind !== 'tensor' || q.dtype !== 'float32') return E.left('an element type other than float32')
    // ONNX Runtime counts fewer queries from the last key on, and a single one sees all keys.
    if (attrs.unidirectional !== 0 && (queries === undefined || queries !== keys))
      return E.left('other keys than queries')
    const misfit = maskMisfit(inputs[4], [batch, queries, keys])
    if (misfit !== undefined) return E.left(misfit)
    const heads = attrs.num_heads
    const hasBias = inputs[3] !== undefined
    if (hasBias && shapeOf(inputs[1])?.length === 4) return E.left('a bias besides keys with heads')
    const widths = p.constant(int64s([heads * size, heads * size, heads * wide]))
    const biases = hasBias ? p.outputs(Split, [p.input(3), widths], 3) : []
    const y = attended(p, {
      q: operand(p, 0, heads, size, biases[0]),
      k: operand(p, 1, heads, size, biases[1]),
      v: operand(p, 2, heads, wide, biases[2]),
      scale: attrs.scale === 0 ? 1 / Math.sqrt(size) : attrs.scale,
      bias: p.input(5),
      mask: p.input(4),
      filter: attrs.mask_filter_value,
      isCausal: attrs.unidirectional !== 0,
    })
    return E.right([mergeHeads(p, y, heads * wide)])
  },
)

/**
 * Attention of queries `[batch, places, heads · size]` to keys and values, which are of that shape or `[batch, heads, places, size]`. Outputs
 * 1 and 2 have keys and values, those from before first. It is taken apart where it keeps none.
 */
export const MultiHeadAttention: typeof base = {
  ...base,
  inferTypes: (ctx) => {
    const q = tensorInput(ctx, 0)
    if (E.isLeft(q)) return q
    const { dtype, shape } = q.right
    const sizes = sizesOf(ctx)
    if (E.isLeft(sizes)) return E.right(ctx.outputNames.map(() => tensorType(dtype, undefined)))
    const { size, wide } = sizes.right
    const heads = ctx.attrs.num_heads
    return E.right(
      ctx.outputNames.map((_, i) => {
        if (i === 0) return tensorType(dtype, shape && [...shape.slice(0, 2), heads * wide])
        if (i === 3) return tensorType(dtype, undefined)
        return tensorType(dtype, stateShape(ctx, i, shape?.[0], heads, i === 1 ? size : wide))
      }),
    )
  },
}
