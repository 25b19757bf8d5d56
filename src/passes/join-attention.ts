/**
 * Attention operators of a model that were taken apart, so that channels go through them, put together again in what became of
 * them: a runtime computes them faster than their parts. Parts are recognised by what they compute, whatever has gone; where they are
 * not, they stay as they are.
 *
 *     softmax(scale · Q Kᵀ + what is added) V
 *
 * What is left of an attention operator is always of the same operator again: of equally wide heads, in groups where it had
 * groups.
 */
import * as E from 'fp-ts/lib/Either.js'
import { onlyReader, producersOf, soleProducer } from '../ir/analysis.ts'
import { sameTensor } from '../ir/equal.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { makeNode } from '../ir/make-node.ts'
import { precisionOf } from '../ir/numerics.ts'
import type { Node, OpDef, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { And } from '../ir/ops/and.ts'
import { Attention } from '../ir/ops/attention.ts'
import { Greater } from '../ir/ops/greater.ts'
import { LessOrEqual } from '../ir/ops/less-or-equal.ts'
import { Less } from '../ir/ops/less.ts'
import { Cast } from '../ir/ops/cast.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { MatMulInteger } from '../ir/ops/mat-mul-integer.ts'
import * as microsoft from '../ir/ops/microsoft/index.ts'
import { Mul } from '../ir/ops/mul.ts'
import { Range } from '../ir/ops/range.ts'
import { Reshape } from '../ir/ops/reshape.ts'
import { Softmax } from '../ir/ops/softmax.ts'
import { Split } from '../ir/ops/split.ts'
import { Transpose } from '../ir/ops/transpose.ts'
import { Unsqueeze } from '../ir/ops/unsqueeze.ts'
import { Where } from '../ir/ops/where.ts'
import { encodeAttributes, isOp } from '../ir/registry.ts'
import { uniformValue } from '../ir/slices.ts'
import { elements, materialize } from '../ir/tensor.ts'
import { type Dim, isStatic, sameShape, type Shape } from '../ir/type.ts'
import type { Pass } from './pass.ts'

const ofMicrosoft: ReadonlyArray<string> = [
  microsoft.Attention.name,
  microsoft.MultiHeadAttention.name,
  microsoft.QAttention.name,
]

/** The operators that are taken apart and put together again. */
export const attentionOperators: ReadonlyArray<string> = [Attention.name, ...ofMicrosoft]

/** Some indices in a row of an axis of the value that a chain of reshapes and transposes begins with. */
interface Token {
  readonly root: string
  readonly size: Dim
  /** How far apart two of them are on that axis. */
  readonly stride: number
}

/** Which indices each axis of a value stands for, slowest first. Axes of size 1 stand for none. */
type Layout = ReadonlyArray<ReadonlyArray<Token>>

const layoutOf = (shape: Shape, roots: ReadonlyArray<string>): Layout =>
  shape.map((size, axis) => (size === 1 ? [] : [{ root: roots[axis] ?? '', size, stride: 1 }]))

/** The layout under another shape; undefined where an axis of unknown size would be cut or merged. */
const reshaped = (layout: Layout, shape: Shape): Layout | undefined => {
  const rest = layout.flat().toReversed()
  const out: Token[][] = []
  for (const size of shape) {
    const axis: Token[] = []
    let left = size
    while (left !== 1) {
      const token = rest.pop()
      if (token === undefined) return undefined
      if (token.size === left) {
        axis.push(token)
        break
      }
      if (!isStatic(token.size) || !isStatic(left) || token.size === 0) return undefined
      if (token.size % left === 0) {
        // What is cut off is slower than what is left.
        const inner = token.size / left
        axis.push({ ...token, size: left, stride: token.stride * inner })
        rest.push({ ...token, size: inner })
        break
      }
      if (left % token.size !== 0) return undefined
      axis.push(token)
      left /= token.size
    }
    out.push(axis)
  }
  return rest.length === 0 ? out : undefined
}

/** What a node that moves no number away from another makes of a layout. */
const moved = (graph: Graph, node: Node, layout: Layout): Layout | undefined => {
  if (isOp(node, Transpose)) return node.attrs.perm?.map((axis) => layout[axis] ?? [])
  const shape = shapeOf(graph.types.get(node.outputs[0] ?? ''))
  return shape && (isOp(node, Reshape) || isOp(node, Unsqueeze)) ? reshaped(layout, shape) : undefined
}

/** Whether tokens are of one root after the other, each in the order of its axis. */
const isInOrder = (tokens: ReadonlyArray<Token>, ...roots: ReadonlyArray<string>): boolean =>
  tokens.every(({ root, stride }, i) => {
    const before = tokens[i - 1]
    const place = roots.indexOf(root)
    if (place < 0) return false
    return before === undefined || (before.root === root ? before.stride > stride : roots.indexOf(before.root) < place)
  })

/** An operand: where its heads come from. */
interface Operand {
  /** Of shape `[batch, places, heads · size]` or `[batch, heads, places, size]`. */
  readonly value: ValueId
  readonly rank: 3 | 4
}

/** Where an operand `[batch, heads.., places, size]` of a product comes from, or one with its last two axes swapped. */
const operandOf = (graph: Graph, made: ValueId, isSwapped: boolean): Operand | undefined => {
  const nodes: Node[] = []
  let value = made
  const candidates: Array<Operand & { readonly nodes: ReadonlyArray<Node>; readonly shape: Shape }> = []
  for (let i = 0; i < 6; i++) {
    const shape = shapeOf(graph.types.get(value))
    if (shape?.length === 3) candidates.unshift({ value, rank: 3, nodes: [...nodes], shape })
    if (shape?.length === 4) candidates.push({ value, rank: 4, nodes: [...nodes], shape })
    const node = soleProducer(graph, value)
    if (shape === undefined || shape.length === 3 || node === undefined) break
    nodes.unshift(node)
    value = node.inputs[0] ?? ''
  }
  return candidates.find(({ rank, nodes: between, shape }) => {
    const roots = rank === 3 ? ['batch', 'places', 'channel'] : ['batch', 'head', 'places', 'size']
    let layout: Layout | undefined = layoutOf(shape, roots)
    for (const node of between) layout = layout && moved(graph, node, layout)
    if (layout === undefined || layout.length < 4) return false
    const [batch = [], ...heads] = layout.slice(0, -2)
    const [places = [], size = []] = isSwapped ? layout.slice(-2).toReversed() : layout.slice(-2)
    return (
      isInOrder(batch, 'batch') &&
      isInOrder(places, 'places') &&
      (rank === 3
        ? isInOrder([...heads.flat(), ...size], 'channel')
        : isInOrder(heads.flat(), 'head') && isInOrder(size, 'size'))
    )
  })
}

/** The scores of an attention, and what they are made of. */
interface Scores {
  /** What the product of queries and keys is called: as the operator was. */
  readonly name: string
  readonly q: ValueId
  /** Keys with their last two axes swapped. */
  readonly k: ValueId
  readonly scale: number
  readonly added: ReadonlyArray<ValueId>
  /** Where scores count, if that is told. */
  readonly takes: ValueId | undefined
}

/** The node of an operator that makes a value which only one node reads. */
const inner = <Name extends string, A>(graph: Graph, value: ValueId, op: OpDef<Name, A>): Node<Name, A> | undefined => {
  const node = soleProducer(graph, value)
  return isOp(node, op) && onlyReader(graph, value) !== undefined ? node : undefined
}

const numberIn = (graph: Graph, value: ValueId | undefined): number | undefined => {
  const tensor = graph.constants.get(value ?? '')
  return tensor && uniformValue(tensor)
}

/** Whether a value is a single number, so that nothing is broadcast with it. */
const isScalar = (graph: Graph, value: ValueId | undefined): boolean =>
  graph.constants.get(value ?? '')?.shape.every((size) => size === 1) ?? false

const scoresOf = (graph: Graph, value: ValueId): Scores | undefined => {
  const added: ValueId[] = []
  let takes: ValueId | undefined
  let scale: number | undefined
  let current = value
  for (let i = 0; i < 6; i++) {
    const product = inner(graph, current, MatMul)
    if (product !== undefined) {
      const [q = '', k = ''] = product.inputs
      return { name: product.name, q, k, scale: scale ?? 1, added, takes }
    }
    const hidden = inner(graph, current, Where)
    const sum = inner(graph, current, Add)
    const scaled = inner(graph, current, Mul)
    if (hidden !== undefined && added.length === 0 && takes === undefined && scale === undefined) {
      const type = graph.types.get(current)
      const lowest = type?.kind === 'tensor' ? -precisionOf(type.dtype).largest : NaN
      if (numberIn(graph, hidden.inputs[2]) !== lowest) return undefined
      takes = hidden.inputs[0] ?? ''
      current = hidden.inputs[1] ?? ''
    } else if (sum !== undefined && scale === undefined) {
      added.unshift(sum.inputs[1] ?? '')
      current = sum.inputs[0] ?? ''
    } else if (scaled !== undefined && scale === undefined && isScalar(graph, scaled.inputs[1])) {
      scale = numberIn(graph, scaled.inputs[1])
      if (scale === undefined) return undefined
      current = scaled.inputs[0] ?? ''
    } else return undefined
  }
  return undefined
}

const isCounted = (graph: Graph, value: ValueId): boolean => {
  const range = soleProducer(graph, value)
  return isOp(range, Range) && numberIn(graph, range.inputs[0]) === 0 && numberIn(graph, range.inputs[2]) === 1
}

/** Whether a value tells for each query and key whether the key is not behind the query. */
const isCausal = (graph: Graph, value: ValueId, { queries, keys }: Found['sizes']): boolean => {
  if (!sameShape(shapeOf(graph.types.get(value)), [queries, keys])) return false
  const tensor = graph.constants.get(value)
  if (tensor !== undefined) {
    const [rows = 0, columns = 0] = tensor.shape
    if (tensor.dtype !== 'bool') return false
    const flags = elements(materialize(tensor))
    for (let i = 0; i < rows * columns; i++) {
      if (Boolean(flags[i]) !== i % columns <= Math.floor(i / columns)) return false
    }
    return true
  }
  const node = soleProducer(graph, value)
  const rows = soleProducer(graph, node?.inputs[1] ?? '')
  if (!isOp(node, LessOrEqual) || !isOp(rows, Unsqueeze)) return false
  const isColumn = shapeOf(graph.types.get(rows.outputs[0] ?? ''))?.[1] === 1
  return isColumn && isCounted(graph, node.inputs[0] ?? '') && isCounted(graph, rows.inputs[0] ?? '')
}

/** An attention that its parts compute. */
interface Found {
  /** The one that makes the result. */
  readonly last: Node
  readonly q: Operand
  readonly k: Operand
  readonly v: Operand
  readonly heads: number
  /** Of keys and values. */
  readonly shared: number
  readonly size: number
  readonly scores: Scores
  /** How many samples, queries and keys there are. */
  readonly sizes: { readonly batch: Dim; readonly queries: Dim; readonly keys: Dim }
  /** Where a weight is not set to zero, if that is told. */
  readonly keeps: ValueId | undefined
}

/** The result of heads that were put side by side, or that stay apart, of the product that `node` computes. */
const resultOf = (graph: Graph, node: Node, rank: 3 | 4): Node | undefined => {
  const shape = shapeOf(graph.types.get(node.outputs[0] ?? '')) ?? []
  const roots = shape.map((_, axis) => {
    if (axis === 0) return 'batch'
    if (axis < shape.length - 2) return `head ${axis}`
    return axis === shape.length - 2 ? 'places' : 'size'
  })
  const heads = roots.slice(1, -2)
  let layout: Layout | undefined = layoutOf(shape, roots)
  let last = node
  for (let i = 0; i < 4 && layout !== undefined; i++) {
    const [batch = [], a = [], b = [], c = []] = layout
    const isWhole =
      layout.length === rank &&
      isInOrder(batch, 'batch') &&
      (rank === 3
        ? isInOrder(a, 'places') && isInOrder(b, ...heads, 'size')
        : isInOrder(a, ...heads) && isInOrder(b, 'places') && isInOrder(c, 'size'))
    if (isWhole) return last
    const reader = onlyReader(graph, last.outputs[0] ?? '')
    if (reader === undefined) return undefined
    layout = moved(graph, reader, layout)
    last = reader
  }
  return undefined
}

const find = (graph: Graph, node: Node): Found | undefined => {
  if (!isOp(node, MatMul)) return undefined
  const [weights = '', values = ''] = node.inputs
  const kept = inner(graph, weights, Where)
  if (kept !== undefined && numberIn(graph, kept.inputs[2]) !== 0) return undefined
  const softmax = inner(graph, kept?.inputs[1] ?? weights, Softmax)
  const shape = shapeOf(graph.types.get(weights))
  if (softmax === undefined || shape === undefined) return undefined
  if (softmax.attrs.axis !== -1 && softmax.attrs.axis !== shape.length - 1) return undefined
  const scores = scoresOf(graph, softmax.inputs[0] ?? '')
  if (scores === undefined) return undefined
  const [queries, keys] = [shapeOf(graph.types.get(scores.q)), shapeOf(graph.types.get(scores.k))]
  const taken = shapeOf(graph.types.get(values))
  if (queries === undefined || keys === undefined || taken === undefined) return undefined
  const rank = queries.length
  if (rank < 4 || rank > 5 || keys.length !== rank || taken.length !== rank || shape.length !== rank) return undefined
  const [batch, shared, repeated = 1] = rank === 5 ? queries : queries.slice(0, 2)
  const size = queries.at(-1)
  const [places, length] = [queries.at(-2), keys.at(-1)]
  if (batch === undefined || places === undefined || length === undefined) return undefined
  const isEven =
    [keys, taken].every((one) => one[0] === batch && one[1] === shared && (rank === 4 || one[2] === 1)) &&
    taken.at(-2) === length
  if (!isEven || !isStatic(shared) || !isStatic(repeated) || !isStatic(size)) return undefined
  const q = operandOf(graph, scores.q, false)
  const k = operandOf(graph, scores.k, true)
  const v = operandOf(graph, values, false)
  const last = q && resultOf(graph, node, q.rank)
  if (q === undefined || k === undefined || v === undefined || last === undefined) return undefined
  const sizes = { batch, queries: places, keys: length }
  return { last, q, k, v, heads: shared * repeated, shared, size, scores, sizes, keeps: kept?.inputs[0] }
}

/** The scale as an attribute, which is left out where it is what it is then. */
const scaleOf = ({ scores: { scale }, size }: Found): number | undefined =>
  Math.fround(scale) === Math.fround(1 / Math.sqrt(size)) ? undefined : scale

/** A shape with as many axes of size 1 in front as give it `rank`. */
const ofRank = (shape: Shape, rank: number): Shape => [
  ...Array.from({ length: rank - shape.length }, () => 1),
  ...shape,
]

/** The shape `[batch, heads, queries, keys]` of what meets scores; undefined where heads differ in both axes that scores have for them. */
const besideScores = (graph: Graph, value: ValueId, scores: Scores): Shape | undefined => {
  const [shape, whole] = [shapeOf(graph.types.get(value)), shapeOf(graph.types.get(scores.q))]
  if (shape === undefined || whole === undefined) return undefined
  const [batch = 1, ...others] = ofRank(shape, whole.length)
  if (whole.length === 4) return [batch, ...others]
  const [shared = 1, repeated = 1, ...places] = others
  if (shared !== 1 && repeated !== 1) return undefined
  return [batch, shared === 1 ? repeated : shared, ...places]
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

/** ONNX's own operator, if it computes that. */
const asAttention = (graph: Graph, found: Found): Node | undefined => {
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
  const whole = besideScores(graph, mask, scores)
  if ((shapeOf(graph.types.get(mask))?.length ?? 0) > 4) {
    const wider = soleProducer(graph, mask)
    if (!isOp(wider, Unsqueeze)) return undefined
    mask = wider.inputs[0] ?? ''
  }
  const shape = shapeOf(graph.types.get(mask)) ?? []
  const fits = shape.length > 1 && sameShape(ofRank(shape, 4), whole) && isForScores(whole, found)
  if (mask !== '' && !fits) return undefined
  const counts = q.rank === 3 ? { q_num_heads: heads, kv_num_heads: shared } : {}
  const attrs = { ...counts, scale: scaleOf(found), is_causal: causal ? 1 : 0 }
  const inputs = [q.value, k.value, v.value, ...(mask === '' ? [] : [mask])]
  return makeNode(Attention, inputs, last.outputs, attrs, scores.name)
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
  if (scores.takes !== undefined && !isCausal(graph, scores.takes, sizes)) return undefined
  const masks = scores.added.map((value) => maskedOf(graph, value, sizes))
  const biases = scores.added.filter((_, i) => masks[i] === undefined)
  const given = masks.filter((mask) => mask !== undefined)
  if (biases.length > 1 || given.length > 1) return undefined
  const [bias = ''] = biases
  const shape = besideScores(graph, bias, scores)
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

const joined = (graph: Graph, names: ReadonlySet<string>): Graph => {
  const whole = new Map<Node, Node>()
  for (const node of graph.nodes) {
    const found = find(graph, node)
    if (found === undefined) continue
    const isMicrosoft = ofMicrosoft.some((name) => names.has(name))
    const own = names.has(Attention.name) ? asAttention(graph, found) : undefined
    const made = own ?? (isMicrosoft ? asMicrosoft(graph, found, names) : undefined)
    if (made !== undefined) whole.set(found.last, made)
  }
  return whole.size === 0 ? graph : withParts(graph, { nodes: graph.nodes.map((node) => whole.get(node) ?? node) })
}

/** Whether two graphs with the same interface have the same nodes and constants, under the same names. */
export const sameNodes = (a: Graph, b: Graph): boolean =>
  a.nodes.length === b.nodes.length &&
  a.constants.size === b.constants.size &&
  a.nodes.every((node, i) => isSameNode(node, b.nodes[i])) &&
  [...a.constants].every(([name, tensor]) => {
    const other = b.constants.get(name)
    return other !== undefined && sameTensor(tensor, other)
  })

const isSameNode = (a: Node, b: Node | undefined): boolean =>
  a === b ||
  (b !== undefined &&
    a.op === b.op &&
    a.name === b.name &&
    a.inputs.join() === b.inputs.join() &&
    a.outputs.join() === b.outputs.join() &&
    attributesOf(a) === attributesOf(b))

const attributesOf = (node: Node): string =>
  [...encodeAttributes(node)].map(([key, raw]) => `${key} ${raw.kind} ${String(raw.value)}`).join('\n')
