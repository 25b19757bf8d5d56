import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalInt } from '../../attributes.ts'
import { givesMore, goesOn } from '../../families/attention.ts'
import { composition } from '../../families/composition.ts'
import { columnsOperand } from '../../families/integer-matrices.ts'
import { attendedToItself, maskMisfit } from '../../families/microsoft-attention.ts'
import { scaledProduct } from '../../families/scaled-integers.ts'
import { dtypeOf } from '../../families/movement.ts'
import { shapeOf } from '../../links.ts'
import { defineOp } from '../../op.ts'
import { isStatic, tensorType, unknownDim } from '../../type.ts'

interface QAttentionAttributes {
  readonly num_heads: number
  readonly unidirectional: number
  readonly mask_filter_value: number
  /** 0: one over the root of a head's size. */
  readonly scale: number
  readonly do_rotary: number
  readonly past_present_share_buffer: number | undefined
}

const base = composition<'com.microsoft.QAttention', QAttentionAttributes>(
  'com.microsoft.QAttention',
  [1, 1],
  {
    num_heads: int(0),
    unidirectional: int(0),
    mask_filter_value: float(-10000),
    scale: float(0),
    do_rotary: int(0),
    past_present_share_buffer: optionalInt,
  },
  (p, { attrs, inputs, opset }) => {
    const [x, columns] = [shapeOf(inputs[0]), shapeOf(inputs[1])?.[1]]
    const width = isStatic(columns) ? columns / 3 : NaN
    if (opset < 13) return E.left(`opset ${opset}`)
    if (inputs[8] !== undefined) return E.left(goesOn)
    if (p.wants(1)) return E.left(givesMore)
    if (attrs.do_rotary !== 0) return E.left('a rotary embedding inside')
    if (x?.length !== 3) return E.left('an input of another rank')
    if (!(attrs.num_heads > 0 && Number.isInteger(width / attrs.num_heads))) return E.left(`${attrs.num_heads} heads`)
    const misfit = maskMisfit(inputs[5], [x[0], x[1], x[1]])
    if (misfit !== undefined) return E.left(misfit)
    const a = { value: p.input(0), scale: p.input(3), zero: p.input(6) }
    const b = { value: p.input(1), scale: p.input(4), zero: p.input(7) }
    const projected = scaledProduct(p, a, b, p.input(2))
    return E.right([attendedToItself(p, attrs, [width, width], { projected, mask: p.input(5), bias: '' })])
  },
)

/**
 * `com.microsoft.Attention` of integers `x[batch, places, features]` to itself, with integers `W[features, 3 · d]`. Ports: x, W, bias,
 * scales of x and W, mask, what stands for zero in x and W, keys and values from before. It is taken apart where there are none of these.
 */
export const QAttention = defineOp<'com.microsoft.QAttention', QAttentionAttributes>({
  ...base,
  inferTypes: (ctx) => {
    const [x, columns, dtype] = [shapeOf(ctx.inputs[0]), shapeOf(ctx.inputs[1])?.[1], dtypeOf(ctx.inputs[2])]
    if (dtype === undefined) return E.left('a bias of unknown type')
    if (x !== undefined && x.length !== 3) return E.left(`an input of rank ${x.length}`)
    const [name = ''] = ctx.outputNames
    const width = isStatic(columns) ? columns / 3 : unknownDim(name, 2)
    const present = ctx.outputNames.length > 1 ? [tensorType(dtype, undefined)] : []
    return E.right([tensorType(dtype, x && [...x.slice(0, 2), width]), ...present])
  },
  integers: (ctx) => [{ port: 0, scale: 3, zero: 6 }, columnsOperand(ctx, { port: 1, scale: 4, zero: 7 })],
})
