/**
 * Attention, recognised by what nodes compute, however they are written: heads are split off and merged by any reshapes and transposes.
 *
 *     softmax(scale · Q Kᵀ + what is added) V
 */
import { onlyReader, soleProducer } from '../ir/analysis.ts'
import type { Graph } from '../ir/graph.ts'
import { shapeOf } from '../ir/links.ts'
import { precisionOf } from '../ir/numerics.ts'
import type { Node, OpDef, ValueId } from '../ir/op.ts'
import { Add } from '../ir/ops/add.ts'
import { LessOrEqual } from '../ir/ops/less-or-equal.ts'
import { MatMul } from '../ir/ops/mat-mul.ts'
import { Mul } from '../ir/ops/mul.ts'
import { Range } from '../ir/ops/range.ts'
import { Reshape } from '../ir/ops/reshape.ts'
import { Softmax } from '../ir/ops/softmax.ts'
import { Transpose } from '../ir/ops/transpose.ts'
import { Unsqueeze } from '../ir/ops/unsqueeze.ts'
import { Where } from '../ir/ops/where.ts'
import { isOp } from '../ir/registry.ts'
import { uniformValue } from '../ir/slices.ts'
import { elements, materialize } from '../ir/tensor.ts'
import { type Dim, isStatic, sameShape, type Shape } from '../ir/type.ts'

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
export interface Operand {
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
export interface Scores {
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
export const inner = <Name extends string, A>(
  graph: Graph,
  value: ValueId,
  op: OpDef<Name, A>,
): Node<Name, A> | undefined => {
  const node = soleProducer(graph, value)
  return isOp(node, op) && onlyReader(graph, value) !== undefined ? node : undefined
}

export const numberIn = (graph: Graph, value: ValueId | undefined): number | undefined => {
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

export const isCounted = (graph: Graph, value: ValueId): boolean => {
  const range = soleProducer(graph, value)
  return isOp(range, Range) && numberIn(graph, range.inputs[0]) === 0 && numberIn(graph, range.inputs[2]) === 1
}

/** Whether a value tells for each query and key whether the key is not behind the query. */
export const isCausal = (graph: Graph, value: ValueId, { queries, keys }: Found['sizes']): boolean => {
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
export interface Found {
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

/** The attention that ends with a product of weights and values, if that is one. */
export const findAttention = (graph: Graph, node: Node): Found | undefined => {
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
