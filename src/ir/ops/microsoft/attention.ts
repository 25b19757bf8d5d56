import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalInt, optionalInts } from '../../attributes.ts'
import { givesMore, goesOn } from '../../families/attention.ts'
import { composition } from '../../families/composition.ts'
import { attendedToItself, maskMisfit, stateShape } from '../../families/microsoft-attention.ts'
import { tensorInput } from '../../infer.ts'
import type { InferContext } from '../../op.ts'
import { isStatic, tensorType } from '../../type.ts'
import { Add } from '../add.ts'
import { MatMul } from '../mat-mul.ts'

interface AttentionAttributes {
  readonly num_heads: number
  /** The widths of queries, keys and values; absent: all the same. */
  readonly qkv_hidden_sizes: ReadonlyArray<number> | undefined
  readonly unidirectional: number
  readonly mask_filter_value: number
  /** 0: one over the root of a head's size. */
  readonly scale: number
  readonly do_rotary: number
  readonly rotary_embedding_dim: number
  readonly past_present_share_buffer: number | undefined
}

/** The widths of queries and keys, and of values. */
const widthsOf = ({
  attrs,
  inputs,
}: InferContext<AttentionAttributes>): E.Either<string, readonly [number, number]> => {
  const weight = inputs[1]
  const columns = weight?.kind === 'tensor' ? weight.shape?.[1] : undefined
  const { qkv_hidden_sizes: given, num_heads: heads } = attrs
  if (!isStatic(columns)) return E.left('a weight of unknown shape')
  const [q = columns / 3, k = q, v = q] = given ?? []
  if (q !== k) return E.left('queries and keys of different widths')
  if (q + k + v !== columns) return E.left(`a weight of ${columns} columns for queries, keys and values`)
  const fits = heads > 0 && [q, v].every((width) => Number.isInteger(width / heads))
  return fits ? E.right([q, v]) : E.left(`${heads} heads`)
}

const base = composition<'com.microsoft.Attention', AttentionAttributes>(
  'com.microsoft.Attention',
  [1, 1],
  {
    num_heads: int(0),
    qkv_hidden_sizes: optionalInts,
    unidirectional: int(0),
    mask_filter_value: float(-10000),
    scale: float(0),
    do_rotary: int(0),
    rotary_embedding_dim: int(0),
    past_present_share_buffer: optionalInt,
  },
  (p, ctx) => {
    const { attrs, inputs, opset } = ctx
    const widths = widthsOf(ctx)
    const x = inputs[0]
    if (E.isLeft(widths)) return widths
    if (opset < 13) return E.left(`opset ${opset}`)
    if (inputs[4] !== undefined) return E.left(goesOn)
    if (p.wants(1)) return E.left(givesMore)
    if (attrs.do_rotary !== 0) return E.left('a rotary embedding inside')
    if (x?.kind !== 'tensor' || x.shape?.length !== 3 || x.dtype !== 'float32')
      return E.left('an input of another kind')
    const misfit = maskMisfit(inputs[3], [x.shape[0], x.shape[1], x.shape[1]])
    if (misfit !== undefined) return E.left(misfit)
    const [width, wide] = widths.right
    const projected = p.node(MatMul, [p.input(0), p.input(1)])
    const whole = inputs[2] === undefined ? projected : p.node(Add, [projected, p.input(2)])
    return E.right([
      attendedToItself(p, attrs, [width, wide], { projected: whole, mask: p.input(3), bias: p.input(5) }),
    ])
  },
)

/**
 * Attention of `x[batch, places, features]` to itself, with `W[features, 2 · d + d']` that makes queries, keys and values of it. Output 1
 * has keys and values, those from before first. It is taken apart where it keeps none.
 */
export const Attention: typeof base = {
  ...base,
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    const widths = widthsOf(ctx)
    if (E.isLeft(x)) return x
    const { dtype, shape } = x.right
    if (shape !== undefined && shape.length !== 3) return E.left(`an input of rank ${shape.length}`)
    if (E.isLeft(widths)) return E.right([tensorType(dtype, undefined), tensorType(dtype, undefined)])
    const [width, wide] = widths.right
    const heads = ctx.attrs.num_heads
    const present =
      width === wide && shape !== undefined ? [2, ...stateShape(ctx, 1, shape[0], heads, width / heads)] : undefined
    return E.right([
      tensorType(dtype, shape && [...shape.slice(0, 2), wide]),
      ...(ctx.outputNames.length > 1 ? [tensorType(dtype, present)] : []),
    ])
  },
}
