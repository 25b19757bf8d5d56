import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalInt, string } from '../../attributes.ts'
import { givesMore, goesOn } from '../../families/attention.ts'
import { stateShape } from '../../families/microsoft-attention.ts'
import { tensorInput } from '../../infer.ts'
import { outputShape } from '../../links.ts'
import { defineOp, type InferContext } from '../../op.ts'
import { isStatic, tensorType } from '../../type.ts'

interface GroupQueryAttentionAttributes {
  readonly num_heads: number
  readonly kv_num_heads: number
  readonly scale: number
  readonly softcap: number
  readonly local_window_size: number
  readonly do_rotary: number
  readonly rotary_interleaved: number
  readonly smooth_softmax: number
  readonly qk_output: number
  /** Caches of integers are not looked into. */
  readonly k_quant_type: 'NONE'
  readonly v_quant_type: 'NONE'
  readonly kv_cache_bit_width: number | undefined
}

/** How wide a head is: without keys, queries, keys and values are one value. */
const sizeOfHead = ({ attrs, inputs }: InferContext<GroupQueryAttentionAttributes>): number | undefined => {
  const [q, k] = inputs
  const width = q?.kind === 'tensor' ? q.shape?.[2] : undefined
  const heads = attrs.num_heads + (k === undefined ? 2 * attrs.kv_num_heads : 0)
  return isStatic(width) && heads > 0 && attrs.kv_num_heads > 0 && width % heads === 0 ? width / heads : undefined
}

/**
 * Causal attention of `[batch, places, heads · size]` in which each head of keys and values serves several of queries in a row. It is made
 * for generation: keys and values go from one run to the next as inputs and outputs of the model, which fixes them. So nothing
 * is taken out of it; what stands around it shrinks.
 */
export const GroupQueryAttention = defineOp<'com.microsoft.GroupQueryAttention', GroupQueryAttentionAttributes>({
  name: 'com.microsoft.GroupQueryAttention',
  versions: [1, 1],
  schema: {
    num_heads: int(0),
    kv_num_heads: int(0),
    scale: float(0),
    softcap: float(0),
    local_window_size: int(-1),
    do_rotary: int(0),
    rotary_interleaved: int(0),
    smooth_softmax: int(-1),
    qk_output: int(0),
    k_quant_type: string('NONE'),
    v_quant_type: string('NONE'),
    kv_cache_bit_width: optionalInt,
  },
  inferTypes: (ctx) => {
    const q = tensorInput(ctx, 0)
    if (E.isLeft(q)) return q
    const { dtype, shape } = q.right
    if (shape !== undefined && shape.length !== 3) return E.left(`queries of rank ${shape.length}`)
    const size = sizeOfHead(ctx)
    if (size === undefined || shape === undefined)
      return E.right(ctx.outputNames.map(() => tensorType(dtype, undefined)))
    const { num_heads: heads, kv_num_heads: shared } = ctx.attrs
    return E.right(
      ctx.outputNames.map((_, i) => {
        if (i === 0) return tensorType(dtype, [...shape.slice(0, 2), heads * size])
        return tensorType(dtype, i > 2 ? undefined : stateShape(ctx, i, shape[0], shared, size))
      }),
    )
  },
  links: 'opaque',
  keptFor: ({ inputs, outputNames }) => {
    const [given, made] = [inputs.slice(3, 5), outputNames.slice(1, 3)]
    if (given.some((past) => past !== undefined)) return goesOn
    return made.some((present) => present !== '') ? givesMore : undefined
  },
  macs: (ctx) => {
    const [batch, places, width] = outputShape(ctx) ?? []
    const past = ctx.inputs[3]
    const before = past?.kind === 'tensor' ? past.shape?.[2] : 0
    // As of other attention, keys behind a query count.
    return isStatic(batch) && isStatic(places) && isStatic(width) && isStatic(before)
      ? 2 * batch * places * (before + places) * width
      : 0
  },
})
