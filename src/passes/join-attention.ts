/**
 * Attention operators of a model that were taken apart, so that channels go through them, put together again in what became of
 * them: a runtime computes them faster than their parts. Where an operator does not compute what parts do (`find-attention.ts`), they stay as
 * they are.
 *
 * What is left of an attention operator is always of the same operator again: of equally wide heads, in groups where it had
 * groups.
 */
import * as E from 'fp-ts/lib/Either.js'
import { freshNames, onlyReader, producersOf, soleProducer } from '../ir/analysis.ts'
import { reshaped } from '../ir/evaluate.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import type { Node, Rewrite, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { And } from '../ir/ops/and.ts'
import { Attention } from '../ir/ops/attention.ts'
import { Greater } from '../ir/ops/greater.ts'
import { Less } from '../ir/ops/less.ts'
import { Cast } from '../ir/ops/cast.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { MatMulInteger } from '../ir/ops/mat-mul-integer.ts'
import * as microsoft from '../ir/ops/microsoft/index.ts'
import { Mul } from '../ir/ops/mul.ts'
import { canonicalTarget, Reshape } from '../ir/ops/reshape.ts'
import { Split } from '../ir/ops/split.ts'
import { Unsqueeze } from '../ir/ops/unsqueeze.ts'
import { Where } from '../ir/ops/where.ts'
import { isOp } from '../ir/registry.ts'
import { elements, int64s, materialize, type Tensor } from '../ir/tensor.ts'
import { type Dim, isStatic, sameShape, type Shape, staticShape } from '../ir/type.ts'
import { findAttention, type Found, inner, isCausal, isCounted, numberIn } from './find-attention.ts'
import type { Pass } from './pass.ts'

const ofMicrosoft: ReadonlyArray<string> = [
  microsoft.Attention.name,
  microsoft.MultiHeadAttention.name,
  microsoft.QAttention.name,
]

/** The operators that are taken apart and put together again. */
export const attentionOperators: ReadonlyArray<string> = [
  Attention.name,
  ...ofMicrosoft,
  microsoft.GroupQueryAttention.name,
]

/** The scale as an attribute, which is left out where it is what it is then. */
const scaleOf = ({ scores: { scale }, size }: Found): number | undefined =>
  Math.fround(scale) === Math.fround(1 / Math.sqrt(size)) ? undefined : scale

/** A shape with as many axes of size 1 in front as give it `rank`. */
const ofRank = (shape: Shape, rank: number): Shape => [
  ...Array.from({ length: rank - shape.length }, () => 1),
  ...shape,
]

/** The shape `[batch, heads, queries, keys]` of what meets scores; undefined where it differs for some in an axis of groups only. */
const besideScores = (graph: Graph, value: ValueId, { scores, heads }: Found): Shape | undefined => {
  const [shape, whole] = [shapeOf(graph.types.get(value)), shapeOf(graph.types.get(scores.q))]
  if (shape === undefined || whole === undefined) return undefined
  const [batch = 1, ...others] = ofRank(shape, whole.length)
  if (whole.length === 4) return [batch, ...others]
  const [shared = 1, repeated = 1, ...places] = others
  const own = isStatic(shared) && isStatic(repeated) ? shared * repeated : undefined
  return own === 1 || own === heads ? [batch, own, ...places] : undefined
}

/** Whether a shape is that of numbers for each query and key, for each sample and each head or for all of them. */
const isForScores = (shape: Shape | undefined, { heads, sizes }: Found): boolean => {
  const [batch = 0, own = 0, ...places] = shape ?? []
  return (
    [1, sizes.batch].includes(batch) &&
    [1, heads].includes(Number(own)) &&
    sameShape(places, [sizes.queries, sizes.keys])
  )
}

/** A value, and what makes it. */
interface WithHeads extends Rewrite {
  readonly value: ValueId
}

/** What is added to scores of groups, or says which of them count, as a value of the shape that it has beside heads. */
const withHeads = (
  graph: Graph,
  value: ValueId,
  whole: Shape,
  { last }: Found,
  fresh: (hint: string) => ValueId,
): WithHeads | undefined => {
  const none = { nodes: [], constants: new Map<ValueId, Tensor>() }
  const from = shapeOf(graph.types.get(value)) ?? []
  const isSo = (shape: Shape): boolean => shape.length < 5 && sameShape(ofRank(shape, 4), whole)
  if (isSo(from)) return { ...none, value }
  const constant = graph.constants.get(value)
  const output = fresh(`${last.outputs[0] ?? ''}_mask`)
  if (constant !== undefined) {
    const shape = staticShape(whole)
    return shape && { ...none, value: output, constants: new Map([[output, reshaped(materialize(constant), shape)]]) }
  }
  // What an axis was put into, or was split, is read as it was.
  const maker = soleProducer(graph, value)
  const source = isOp(maker, Reshape) || isOp(maker, Unsqueeze) ? (maker.inputs[0] ?? '') : value
  const given = shapeOf(graph.types.get(source)) ?? from
  if (isSo(given)) return { ...none, value: source }
  const target = canonicalTarget(given, whole)
  if (target === undefined) return undefined
  const name = fresh(`${output}_shape`)
  const node = makeNode(Reshape, [source, name], [output], { allowzero: 0 })
  return { value: output, nodes: [node], constants: new Map([[name, int64s(target)]]) }
}

/** ONNX's own operator, if it computes that. */
const asAttention = (graph: Graph, found: Found, fresh: (hint: string) => ValueId): Rewrite | undefined => {
  const { q, k, v, heads, shared, scores, sizes, keeps, last } = found
  if (q.rank !== k.rank || k.rank !== v.rank || scores.added.length > 1) return undefined
  let mask = scores.added[0] ?? ''
  let causal = false
  if (scores.takes !== undefined) {
    const both = soleProducer(graph, scores.takes)
    const [own = '', places = ''] = isOp(both, And) ? both.inputs : []
    // Without zeros for what is hidden from all queries only what is causal hides.
    if (keeps === undefined) {
      if (!isCausal(graph, scores.takes, sizes)) return undefined
      causal = true
    } else if (keeps !== scores.takes || mask !== '') return undefined
    else if (isOp(both, And) && isCausal(graph, places, sizes)) {
      causal = true
      mask = own
    } else mask = scores.takes
  } else if (keeps !== undefined) return undefined
  const whole = mask === '' ? undefined : besideScores(graph, mask, found)
  const given = whole && withHeads(graph, mask, whole, found, fresh)
  const isWhole = (shapeOf(graph.types.get(mask))?.length ?? 0) > 1 && isForScores(whole, found)
  if (mask !== '' && (given === undefined || !isWhole)) return undefined
  const scale = scaleOf(found)
  // An attribute is a float32.
  if (scale !== undefined && Math.fround(scale) !== scale) return undefined
  const counts = q.rank === 3 ? { q_num_heads: heads, kv_num_heads: shared } : {}
  const attrs = { ...counts, scale, is_causal: causal ? 1 : 0 }
  const inputs = [q.value, k.value, v.value, ...(given === undefined ? [] : [given.value])]
  const node = makeNode(Attention, inputs, last.outputs, attrs, scores.name)
  return { nodes: [...(given?.nodes ?? []), node], constants: given?.constants ?? new Map<ValueId, Tensor>() }
}

/** What is added for keys that a mask leaves out, if it is that. */
interface Masked {
  readonly mask: ValueId
  readonly filter: number
}

const maskedOf = (graph: Graph, value: ValueId, { batch, queries, keys }: Found['sizes']): Masked | undefined => {
  const where = soleProducer(graph, value)
  if (!isOp(where, Where) || numberIn(graph, where.inputs[1]) !== 0) return undefined
  const filter = numberIn(graph, where.inputs[2])
  const takes = soleProducer(graph, where.inputs[0] ?? '')
  const [left = '', right = ''] = takes?.inputs ?? []
  if (filter === undefined || takes === undefined) return undefined
  /** What an axis or more were put into, if it is an integer mask of that shape, and of `wide` with them. */
  const before = (name: ValueId, shape: Shape, wide: Shape): ValueId | undefined => {
    const node = soleProducer(graph, name)
    const type = graph.types.get(node?.inputs[0] ?? '')
    const isMask = isOp(node, Unsqueeze) && type?.kind === 'tensor' && sameShape(type.shape, shape)
    return isMask && sameShape(shapeOf(graph.types.get(name)), wide) ? node.inputs[0] : undefined
  }
  const isInteger = (name: ValueId): boolean => {
    const type = graph.types.get(name)
    return type?.kind === 'tensor' && type.dtype === 'int32'
  }
  if (isOp(takes, Greater) && numberIn(graph, right) === 0) {
    const mask =
      before(left, [batch, keys], [batch, 1, 1, keys]) ??
      before(left, [batch, queries, keys], [batch, 1, queries, keys])
    return mask !== undefined && isInteger(mask) ? { mask, filter } : undefined
  }
  if (!isOp(takes, Less) || !isPlaces(graph, left, keys)) return undefined
  const cast = soleProducer(graph, before(right, [batch], [batch, 1, 1, 1]) ?? '')
  const mask = isOp(cast, Cast) ? (cast.inputs[0] ?? '') : ''
  return isInteger(mask) ? { mask, filter } : undefined
}

/** Whether a value is 0, 1, 2, … */
const isPlaces = (graph: Graph, value: ValueId, count: Dim): boolean => {
  if (!sameShape(shapeOf(graph.types.get(value)), [count])) return false
  const tensor = graph.constants.get(value)
  if (tensor === undefined) return isCounted(graph, value)
  return elements(materialize(tensor)).every((x, i) => Number(x) === i)
}

/** One of ONNX Runtime's operators, if it computes that: with the projection where that is still one. */
const asMicrosoft = (graph: Graph, found: Found, names: ReadonlySet<string>): Node | undefined => {
  const { q, k, v, heads, shared, scores, sizes, keeps, last } = found
  if (q.rank !== 3 || k.rank !== v.rank || heads !== shared || keeps !== undefined || scores.scale === 0)
    return undefined
  const isUnidirectional = scores.takes !== undefined
  // Where there are fewer queries than keys, ONNX Runtime's operators count queries from the last key on.
  const isSquare = sizes.queries === sizes.keys
  if (scores.takes !== undefined && !(isSquare && isCausal(graph, scores.takes, sizes))) return undefined
  const masks = scores.added.map((value) => maskedOf(graph, value, sizes))
  const biases = scores.added.filter((_, i) => masks[i] === undefined)
  const given = masks.filter((mask) => mask !== undefined)
  if (biases.length > 1 || given.length > 1) return undefined
  const [bias = ''] = biases
  const shape = besideScores(graph, bias, found)
  const fits = sameShape(shapeOf(graph.types.get(bias)), shape) && isForScores(shape, found)
  if (bias !== '' && !fits) return undefined
  const type = graph.types.get(q.value)
  if (type?.kind !== 'tensor' || type.dtype !== 'float32') return undefined
  const [mask] = given
  const attrs = {
    num_heads: heads,
    unidirectional: isUnidirectional ? 1 : 0,
    scale: scaleOf(found) ?? 0,
    ...(mask && { mask_filter_value: mask.filter }),
  }
  const projection = projectionOf(graph, found)
  const isEven = projection?.widths.every((width) => width === projection.widths[0]) === true
  if (projection?.kind === 'real' && names.has(microsoft.Attention.name)) {
    const given = isEven ? {} : { qkv_hidden_sizes: projection.widths }
    return makeNode(
      microsoft.Attention,
      trimmed([...projection.inputs, mask?.mask ?? '', '', bias]),
      last.outputs,
      { ...attrs, ...given },
      projection.name,
    )
  }
  if (projection?.kind === 'integer' && isEven && bias === '' && names.has(microsoft.QAttention.name)) {
    const [x = '', weight = '', shift = '', xScale = '', scale = '', xZero = '', zero = ''] = projection.inputs
    return makeNode(
      microsoft.QAttention,
      trimmed([x, weight, shift, xScale, scale, mask?.mask ?? '', xZero, zero]),
      last.outputs,
      attrs,
      projection.name,
    )
  }
  // Keys and values of rank 4 may not differ in size.
  if (k.rank === 4 && !sameShape(shapeOf(graph.types.get(k.value)), shapeOf(graph.types.get(v.value)))) return undefined
  return makeNode(
    microsoft.MultiHeadAttention,
    trimmed([q.value, k.value, v.value, '', mask?.mask ?? '', bias]),
    last.outputs,
    attrs,
    scores.name,
  )
}

/** Inputs without those that are left out at the end. */
const trimmed = (inputs: ReadonlyArray<ValueId>): ReadonlyArray<ValueId> =>
  inputs.slice(0, inputs.findLastIndex((value) => value !== '') + 1)

/** What makes queries, keys and values at once: of real numbers, or of integers and their scales. */
interface Projection {
  readonly kind: 'real' | 'integer'
  readonly name: string
  /** Input, weight and bias; of integers then the scales of the first two, and what stands for zero in them. */
  readonly inputs: ReadonlyArray<ValueId>
  /** The widths of the three. */
  readonly widths: ReadonlyArray<number>
}

const projectionOf = (graph: Graph, { q, k, v }: Found): Projection | undefined => {
  const split = producersOf(graph).get(q.value)
  if (!isOp(split, Split) || split.outputs.length !== 3) return undefined
  const values = [q.value, k.value, v.value]
  if (!split.outputs.every((name, i) => name === values[i] && onlyReader(graph, name) !== undefined)) return undefined
  const widths = values.map((name) => shapeOf(graph.types.get(name))?.at(-1)).filter(isStatic)
  const sum = inner(graph, split.inputs[0] ?? '', Add)
  const real = sum && inner(graph, sum.inputs[0] ?? '', MatMul)
  const scaled = sum && inner(graph, sum.inputs[0] ?? '', Mul)
  const whole = scaled && inner(graph, scaled.inputs[0] ?? '', Cast)
  const factor = scaled && inner(graph, scaled.inputs[1] ?? '', Mul)
  const sums = whole && inner(graph, whole.inputs[0] ?? '', MatMulInteger)
  const product = real ?? (factor && sums)
  const [x = '', weight = '', xZero = '', zero = ''] = product?.inputs ?? []
  const bias = sum?.inputs[1] ?? ''
  const scale = factor?.inputs[1] ?? ''
  const columns = widths.reduce((a, b) => a + b, 0)
  const fits =
    widths.length === 3 &&
    shapeOf(graph.types.get(x))?.length === 3 &&
    sameShape(graph.constants.get(weight)?.shape.slice(1), [columns]) &&
    sameShape(graph.constants.get(bias)?.shape, [columns]) &&
    (real !== undefined ||
      (isVectorOf(graph, scale, columns) && isOne(graph, factor?.inputs[0]) && isOne(graph, xZero)))
  if (product === undefined || !fits) return undefined
  return real === undefined
    ? {
        kind: 'integer',
        name: product.name,
        inputs: [x, weight, bias, factor?.inputs[0] ?? '', scale, xZero, zero],
        widths,
      }
    : { kind: 'real', name: product.name, inputs: [x, weight, bias], widths }
}

/** Whether a value is one number, or left out. */
const isOne = (graph: Graph, value = ''): boolean => {
  const shape = shapeOf(graph.types.get(value))
  return value === '' || (shape !== undefined && shape.length < 2 && (shape[0] ?? 1) === 1)
}

/** Whether a value is a constant of one number, or of one for each of `columns`. */
const isVectorOf = (graph: Graph, value: ValueId, columns: number): boolean => {
  const shape = graph.constants.get(value)?.shape
  return shape !== undefined && shape.length < 2 && [1, columns].includes(shape[0] ?? 1)
}

/**
 * Puts attention operators of `names`, which were taken apart, together again wherever parts compute that. It comes last, and what
 * nothing reads any more is eliminated behind it.
 */
export const joinAttention = (names: ReadonlySet<string>): Pass => ({
  name: 'join-attention',
  run: (graph) => E.right(joined(graph, names)),
})

/** Attention over groups that reads queries, keys and values in one, where nothing else reads what that is split into. */
const asPacked = (graph: Graph, node: Node): Node | undefined => {
  const [q = '', k = '', v = '', ...more] = node.inputs
  const split = producersOf(graph).get(q)
  if (!isOp(node, microsoft.GroupQueryAttention) || !isOp(split, Split)) return undefined
  const rank = shapeOf(graph.types.get(q))?.length
  const isWhole = split.outputs.join() === [q, k, v].join() && [2, -1].includes(split.attrs.axis)
  if (rank !== 3 || !isWhole || split.outputs.some((value) => onlyReader(graph, value) !== node)) return undefined
  return { ...node, inputs: [split.inputs[0] ?? '', '', '', ...more] }
}

const joined = (graph: Graph, names: ReadonlySet<string>): Graph => {
  const whole = new Map<Node, ReadonlyArray<Node>>()
  const constants = new Map(graph.constants)
  const fresh = freshNames(graph)
  for (const node of graph.nodes) {
    const packed = names.has(microsoft.GroupQueryAttention.name) ? asPacked(graph, node) : undefined
    if (packed !== undefined) whole.set(node, [packed])
    const found = findAttention(graph, node)
    if (found === undefined) continue
    const isMicrosoft = ofMicrosoft.some((name) => names.has(name))
    const own = names.has(Attention.name) ? asAttention(graph, found, fresh) : undefined
    const other = own === undefined && isMicrosoft ? asMicrosoft(graph, found, names) : undefined
    const made = own?.nodes ?? (other && [other])
    if (made !== undefined) whole.set(found.last, made)
    for (const [name, tensor] of own?.constants ?? []) constants.set(name, tensor)
  }
  if (whole.size === 0) return graph
  return withParts(graph, { nodes: graph.nodes.flatMap((node) => whole.get(node) ?? [node]), constants })
}
