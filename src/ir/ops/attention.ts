import * as E from 'fp-ts/lib/Either.js'
import { float, int, optionalFloat, optionalInt } from '../attributes.ts'
import { isFloat } from '../dtype.ts'
import { givesMore, goesOn, isBehind, mergeHeads, splitHeads, tensorAt, unsqueeze } from '../families/attention.ts'
import { composition, type Parts } from '../families/composition.ts'
import { tensorInput } from '../infer.ts'
import { shapeOf } from '../links.ts'
import { precisionOf } from '../numerics.ts'
import type { ValueId } from '../op.ts'
import { elements, int64s, type Tensor, tensorOf } from '../tensor.ts'
import { type Dim, isStatic, tensorType } from '../type.ts'
import { Add } from './add.ts'
import { And } from './and.ts'
import { Concat } from './concat.ts'
import { Gather } from './gather.ts'
import { MatMul } from './mat-mul.ts'
import { Mul } from './mul.ts'
import { Reshape } from './reshape.ts'
import { Shape } from './shape.ts'
import { Softmax } from './softmax.ts'
import { Transpose } from './transpose.ts'
import { Where } from './where.ts'

interface AttentionAttributes {
  readonly is_causal: number
  readonly kv_num_heads: number | undefined
  readonly q_num_heads: number | undefined
  readonly qk_matmul_output_mode: number
  readonly scale: number | undefined
  readonly softcap: number
}

/** An operand as `[batch, heads, places, size]`. */
interface Heads {
  readonly value: ValueId
  readonly heads: number
  readonly size: number
  readonly places: Dim | undefined
}

/** The operand on a port with an axis of heads, which one of rank 3 has in its last axis. */
const headsOf = (p: Parts, port: number, given: number | undefined): E.Either<string, Heads> => {
  const shape = tensorAt(p, p.input(port))?.shape
  const last = shape?.at(-1)
  if (shape === undefined || !isStatic(last)) return E.left(`the shape of input ${port} is not known`)
  if (shape.length === 4) {
    const [, heads, places] = shape
    return isStatic(heads)
      ? E.right({ value: p.input(port), heads, size: last, places })
      : E.left(`the heads of input ${port} are not known`)
  }
  if (shape.length !== 3 || given === undefined || given < 1 || last % given !== 0) {
    return E.left(`input ${port} does not fall into heads`)
  }
  const size = last / given
  return E.right({ value: splitHeads(p, p.input(port), given, size), heads: given, size, places: shape[1] })
}

/** A mask `[.., heads, queries, keys]` with an axis of groups in front of one of the heads in each. */
const ofGroups = (p: Parts, mask: ValueId, rank: number, groups: ReadonlyArray<number>): ValueId => {
  const sizes = p.node(Shape, [mask])
  const some = (...axes: ReadonlyArray<number>): ValueId => p.node(Gather, [sizes, p.constant(int64s(axes))])
  const before = rank > 3 ? [some(0)] : []
  const target = [...before, p.constant(int64s(groups)), some(rank - 2, rank - 1)]
  return p.node(Reshape, [mask, p.node(Concat, target, { axis: 0 })])
}

/** Whether a mask that is added is known, and leaves each query a key. */
const hasFiniteRows = (mask: Tensor | undefined): boolean => {
  const length = mask?.shape.at(-1) ?? 0
  if (mask === undefined || length === 0) return false
  const values = elements(mask)
  for (let start = 0; start < values.length; start += length) {
    if (!values.subarray(start, start + length).some((x) => Number.isFinite(Number(x)))) return false
  }
  return true
}

const base = composition<'Attention', AttentionAttributes>(
  'Attention',
  [23, Infinity],
  {
    is_causal: int(0),
    kv_num_heads: optionalInt,
    q_num_heads: optionalInt,
    qk_matmul_output_mode: int(0),
    scale: optionalFloat,
    softcap: float(0),
  },
  (p, { attrs, inputs }) => {
    if ([4, 5, 6].some((port) => inputs[port] !== undefined)) return E.left(goesOn)
    if ([1, 2, 3].some((output) => p.wants(output))) return E.left(givesMore)
    if (attrs.softcap !== 0) return E.left('a soft cap')
    const q = headsOf(p, 0, attrs.q_num_heads)
    const k = headsOf(p, 1, attrs.kv_num_heads)
    const v = headsOf(p, 2, attrs.kv_num_heads)
    if (E.isLeft(q)) return q
    if (E.isLeft(k)) return k
    if (E.isLeft(v)) return v
    const dtype = tensorAt(p, q.right.value)?.dtype
    const shared = q.right.heads / k.right.heads
    if (dtype === undefined || !isFloat(dtype)) return E.left('an element type that is no float')
    if (!Number.isInteger(shared) || v.right.heads !== k.right.heads)
      return E.left('heads that do not fall into groups')
    const number = (value: number): ValueId => p.constant(tensorOf(dtype, [], [value]))
    const isGrouped = shared > 1
    const grouped = (value: ValueId): ValueId => (isGrouped ? unsqueeze(p, value, 2) : value)

    const groups = [0, k.right.heads, shared, -1, q.right.size]
    const queries = isGrouped ? p.node(Reshape, [q.right.value, p.constant(int64s(groups))]) : q.right.value
    const perm = isGrouped ? [0, 1, 2, 4, 3] : [0, 1, 3, 2]
    const products = p.node(MatMul, [queries, p.node(Transpose, [grouped(k.right.value)], { perm })])
    let scores = p.node(Mul, [products, number(attrs.scale ?? 1 / Math.sqrt(q.right.size))])
    /** Where a key takes part, in one value for each thing that tells. */
    const taking: ValueId[] = []
    let hides = false
    if (inputs[3] !== undefined) {
      const mask = tensorAt(p, p.input(3))
      const [heads = 1] = mask?.shape?.slice(-3, -2) ?? []
      if (mask?.shape === undefined || mask.shape.at(-1) !== k.right.places) return E.left('a mask of another size')
      if (isGrouped && heads !== 1 && heads !== q.right.heads) return E.left('a mask for heads of unknown number')
      const own =
        isGrouped && heads !== 1
          ? ofGroups(p, p.input(3), mask.shape.length, [k.right.heads, shared])
          : mask.shape.length > 3
            ? grouped(p.input(3))
            : p.input(3)
      hides = mask.dtype === 'bool'
      if (hides) taking.push(own)
      else scores = p.node(Add, [scores, own])
    }
    if (attrs.is_causal !== 0) taking.push(isBehind(p, q.right.value, k.right.value))
    const [first, second] = taking
    const takes = first !== undefined && second !== undefined ? p.node(And, [first, second]) : first
    if (takes !== undefined) scores = p.node(Where, [takes, scores, number(-precisionOf(dtype).largest)])
    const weights = p.node(Softmax, [scores], { axis: -1 })
    // A query from which all keys are hidden gets zeros.
    const given = takes !== undefined && hides ? p.node(Where, [takes, weights, number(0)]) : weights
    const context = p.node(MatMul, [given, grouped(v.right.value)])
    const whole = [0, q.right.heads, -1, v.right.size]
    const y = isGrouped ? p.node(Reshape, [context, p.constant(int64s(whole))]) : context
    if (tensorAt(p, p.input(0))?.shape?.length === 4) return E.right([y])
    return E.right([mergeHeads(p, y, q.right.heads * v.right.size)])
  },
)

/**
 * `softmax(scale · Q Kᵀ + mask) V` for each head, of `[batch, heads, places, size]` or `[batch, places, heads · size]`. Of fewer heads of K
 * and V than of Q each serves as many in a row. It is taken apart where it keeps no keys and values from before and gives
 * nothing but its result.
 */
export const Attention: typeof base = {
  ...base,
  simplify: (ctx, fresh) => {
    const mask = ctx.inputs[3]
    // A query from which what is added hides all keys gets zeros, too.
    const isHidden = mask?.kind === 'tensor' && mask.dtype !== 'bool' && !hasFiniteRows(ctx.constant(3))
    return isHidden ? undefined : base.simplify?.(ctx, fresh)
  },
  evaluate: (ctx, inputs) => {
    const [, , , mask] = inputs
    const isHidden = mask !== undefined && mask.dtype !== 'bool' && !hasFiniteRows(mask)
    return isHidden ? undefined : base.evaluate?.(ctx, inputs)
  },
  inferTypes: (ctx) => {
    const x = tensorInput(ctx, 0)
    const isKnown = [0, 1, 2].every((port) => {
      const shape = shapeOf(ctx.inputs[port])
      return isStatic(shape?.at(-1)) && (shape?.length !== 4 || isStatic(shape[1]))
    })
    return isKnown || E.isLeft(x) ? base.inferTypes(ctx) : E.right([tensorType(x.right.dtype, undefined)])
  },
}
