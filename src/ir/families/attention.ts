/**
 * Attention as the nodes that it stands for, shared by the operators that are it: `softmax(scale · Q Kᵀ + mask) V` for each
 * head, over `[batch, heads, places, size]`.
 */
import { precisionOf } from '../numerics.ts'
import type { ValueId } from '../op.ts'
import { Add } from '../ops/add.ts'
import { Gather } from '../ops/gather.ts'
import { Greater } from '../ops/greater.ts'
import { LessOrEqual } from '../ops/less-or-equal.ts'
import { Less } from '../ops/less.ts'
import { Cast } from '../ops/cast.ts'
import { MatMul } from '../ops/mat-mul.ts'
import { Mul } from '../ops/mul.ts'
import { Range } from '../ops/range.ts'
import { Reshape } from '../ops/reshape.ts'
import { Shape } from '../ops/shape.ts'
import { Softmax } from '../ops/softmax.ts'
import { Transpose } from '../ops/transpose.ts'
import { Unsqueeze } from '../ops/unsqueeze.ts'
import { Where } from '../ops/where.ts'
import { int64s, tensorOf } from '../tensor.ts'
import type { TensorType } from '../type.ts'
import type { Parts } from './composition.ts'

/** Why attention is not taken apart that goes on from run to run. */
export const goesOn = 'keys and values from before fix its heads and their size'
export const givesMore = 'what it gives besides its result has its heads and their size'

export const tensorAt = (p: Parts, value: ValueId): TensorType | undefined => {
  const type = p.type(value)
  return type.kind === 'tensor' ? type : undefined
}

/** `[batch, places, heads · size]` with an axis of heads. */
export const splitHeads = (p: Parts, value: ValueId, heads: number, size: number): ValueId => {
  const apart = p.node(Reshape, [value, p.constant(int64s([0, 0, heads, size]))])
  return p.node(Transpose, [apart], { perm: [0, 2, 1, 3] })
}

/** `[batch, heads, places, size]` as `[batch, places, heads · size]`. */
export const mergeHeads = (p: Parts, value: ValueId, width: number): ValueId => {
  const places = p.node(Transpose, [value], { perm: [0, 2, 1, 3] })
  return p.node(Reshape, [places, p.constant(int64s([0, 0, width]))])
}

/** The places of axis `axis` of a value, counted from 0, as a vector. */
export const countedPlaces = (p: Parts, value: ValueId, axis: number): ValueId => {
  const size = p.node(Gather, [p.node(Shape, [value]), p.constant(int64s([axis], []))])
  return p.node(Range, [p.constant(int64s([0], [])), size, p.constant(int64s([1], []))])
}

export const unsqueeze = (p: Parts, value: ValueId, ...axes: ReadonlyArray<number>): ValueId =>
  p.node(Unsqueeze, [value, p.constant(int64s(axes))])

/** Whether key `m` is not behind query `s`, as `[queries, keys]`. */
export const isBehind = (p: Parts, queries: ValueId, keys: ValueId): ValueId =>
  p.node(LessOrEqual, [countedPlaces(p, keys, 2), unsqueeze(p, countedPlaces(p, queries, 2), 1)])

/** What the scores of ONNX Runtime's own attention operators are made of. */
export interface Scored {
  /** Queries, keys and values with an axis of heads. */
  readonly q: ValueId
  readonly k: ValueId
  readonly v: ValueId
  readonly scale: number
  /** Added to scores; `''` for nothing. */
  readonly bias: ValueId
  /** Whether keys take part: how many of each sample, or a number above 0 for each key, or for each query and key. */
  readonly mask: ValueId
  /** What is added to the scores of keys that do not. */
  readonly filter: number
  readonly isCausal: boolean
}

/** The number that is added to scores of float32 for a key that takes no part, else 0; `[batch, 1, 1 or queries, keys]`. */
const masked = (p: Parts, keys: ValueId, mask: ValueId, filter: number): ValueId => {
  const rank = tensorAt(p, mask)?.shape?.length
  const takes =
    rank === 1
      ? p.node(Less, [countedPlaces(p, keys, 2), unsqueeze(p, p.node(Cast, [mask], { to: 7 }), 1, 2, 3)])
      : p.node(Greater, [
          rank === 2 ? unsqueeze(p, mask, 1, 2) : unsqueeze(p, mask, 1),
          p.constant(tensorOf('int32', [], [0])),
        ])
  return p.node(Where, [takes, number(p, 0), number(p, filter)])
}

const number = (p: Parts, value: number): ValueId => p.constant(tensorOf('float32', [], [value]))

/** What ONNX Runtime's own operators make of float32, as `[batch, heads, queries, size]`. */
export const attended = (p: Parts, { q, k, v, scale, bias, mask, filter, isCausal }: Scored): ValueId => {
  const products = p.node(MatMul, [q, p.node(Transpose, [k], { perm: [0, 1, 3, 2] })])
  let scores = p.node(Mul, [products, number(p, scale)])
  if (bias !== '') scores = p.node(Add, [scores, bias])
  if (mask !== '') scores = p.node(Add, [scores, masked(p, k, mask, filter)])
  if (isCausal) scores = p.node(Where, [isBehind(p, q, k), scores, number(p, -precisionOf('float32').largest)])
  return p.node(MatMul, [p.node(Softmax, [scores], { axis: -1 }), v])
}
