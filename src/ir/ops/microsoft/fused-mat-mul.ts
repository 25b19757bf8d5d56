import * as E from 'fp-ts/lib/Either.js'
import { float, int } from '../../attributes.ts'
import { composition, type Parts } from '../../families/composition.ts'
import { sharedDtype } from '../../infer.ts'
import { shapeOf } from '../../links.ts'
import type { ValueId } from '../../op.ts'
import { tensorOf } from '../../tensor.ts'
import { tensorType } from '../../type.ts'
import { MatMul } from '../mat-mul.ts'
import { Mul } from '../mul.ts'
import { Transpose } from '../transpose.ts'

interface FusedMatMulAttributes {
  readonly alpha: number
  /** Whether the last two axes of an operand are swapped, if it has two. */
  readonly transA: number
  readonly transB: number
  /** Whether the first axis of an operand comes behind the other leading ones, before that. */
  readonly transBatchA: number
  readonly transBatchB: number
}

/** The operand with its axes where MatMul takes them: `[s1, .., sn, a, b]`, of which `trans` swaps the last two. */
const turned = (p: Parts, value: ValueId, trans: boolean, batch: boolean): E.Either<string, ValueId> => {
  if (!trans && !batch) return E.right(value)
  const type = p.type(value)
  const rank = type.kind === 'tensor' ? type.shape?.length : undefined
  if (rank === undefined) return E.left('the rank of an operand is not known')
  if (rank < 2 || (batch && rank < 3))
    return rank === 1 && !batch ? E.right(value) : E.left(`an operand of rank ${rank}`)
  const axes = Array.from({ length: rank }, (_, axis) => axis)
  // With the batch transposed the first of the last two axes is the first of all.
  const ordered = batch ? [...axes.slice(1, -1), 0, rank - 1] : axes
  const [a = 0, b = 0] = ordered.slice(-2)
  return E.right(p.node(Transpose, [value], { perm: trans ? [...ordered.slice(0, -2), b, a] : ordered }))
}

const base = composition<'com.microsoft.FusedMatMul', FusedMatMulAttributes>(
  'com.microsoft.FusedMatMul',
  [1, 1],
  { alpha: float(1), transA: int(0), transB: int(0), transBatchA: int(0), transBatchB: int(0) },
  (p, { attrs }) => {
    const a = turned(p, p.input(0), attrs.transA !== 0, attrs.transBatchA !== 0)
    const b = turned(p, p.input(1), attrs.transB !== 0, attrs.transBatchB !== 0)
    if (E.isLeft(a)) return a
    if (E.isLeft(b)) return b
    const product = p.node(MatMul, [a.right, b.right])
    const type = p.type(product)
    if (attrs.alpha === 1) return E.right([product])
    const factor = p.constant(tensorOf(type.kind === 'tensor' ? type.dtype : 'float32', [], [attrs.alpha]))
    return E.right([p.node(Mul, [product, factor])])
  },
)

/** `alpha · A' B'` of operands with some axes transposed. */
export const FusedMatMul: typeof base = {
  ...base,
  inferTypes: (ctx) => {
    const dtype = sharedDtype(ctx, [0, 1])
    const isRanked = [0, 1].every((port) => shapeOf(ctx.inputs[port]) !== undefined)
    return isRanked || E.isLeft(dtype) ? base.inferTypes(ctx) : E.right([tensorType(dtype.right, undefined)])
  },
}
