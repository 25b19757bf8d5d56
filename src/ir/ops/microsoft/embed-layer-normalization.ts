import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../../attributes.ts'
import { composition, type Parts } from '../../families/composition.ts'
import type { ValueId } from '../../op.ts'
import { int64s, tensorOf } from '../../tensor.ts'
import { Add } from '../add.ts'
import { Cast } from '../cast.ts'
import { ConstantOfShape } from '../constant-of-shape.ts'
import { Equal } from '../equal.ts'
import { Gather } from '../gather.ts'
import { LayerNormalization } from '../layer-normalization.ts'
import { ReduceSum } from '../reduce-sum.ts'
import { Shape } from '../shape.ts'
import { Slice } from '../slice.ts'

interface EmbedLayerNormalizationAttributes {
  readonly epsilon: number
  readonly mask_index_type: number
}

/** The first rows of the table of positions, one for each place of `ids[batch, places]`. */
const firstPositions = (p: Parts, ids: ValueId): ValueId => {
  const places = p.node(Gather, [p.node(Shape, [ids]), p.constant(int64s([1]))])
  return p.node(Slice, [p.input(3), p.constant(int64s([0])), places, p.constant(int64s([0]))])
}

/**
 * LayerNormalization of the sum of what tables hold for words, positions (0, 1, .. unless given) and segments: of
 * `ids[batch, places]` it makes `[batch, places, hidden]`. Output 1 counts each row of a mask (0 without one), output 2 is the sum.
 */
export const EmbedLayerNormalization = composition<
  'com.microsoft.EmbedLayerNormalization',
  EmbedLayerNormalizationAttributes
>(
  'com.microsoft.EmbedLayerNormalization',
  [1, 1],
  { epsilon: float(Math.fround(1e-12)), mask_index_type: int(1) },
  (p, { attrs, inputs, opset }) => {
    const has = (port: number): boolean => inputs[port] !== undefined
    if (opset < 13) return E.left(`opset ${opset}`)
    const words = p.node(Gather, [p.input(2), p.input(0)])
    const positions = has(8) ? p.node(Gather, [p.input(3), p.input(8)]) : firstPositions(p, p.input(0))
    const placed = p.node(Add, [words, positions])
    const sum = has(4) && has(1) ? p.node(Add, [placed, p.node(Gather, [p.input(4), p.input(1)])]) : placed
    const y = p.node(LayerNormalization, [sum, p.input(5), p.input(6)], { epsilon: attrs.epsilon })
    if (!p.wants(1)) return E.right([y, '', sum])
    if (attrs.mask_index_type !== 1) return E.left(`mask_index_type ${attrs.mask_index_type}`)
    if (!has(7)) {
      const rows = p.node(Gather, [p.node(Shape, [p.input(0)]), p.constant(int64s([0]))])
      return E.right([y, p.node(ConstantOfShape, [rows], { value: tensorOf('int32', [1], [0]) }), sum])
    }
    const marked = p.node(Cast, [p.node(Equal, [p.input(7), p.constant(tensorOf('int32', [], [1]))])], { to: 6 })
    const counted = p.node(ReduceSum, [marked, p.constant(int64s([1]))], { keepdims: 0 })
    return E.right([y, counted, sum])
  },
)
