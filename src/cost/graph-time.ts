/**
 * What ONNX Runtime's CPU provider takes for a graph: the sum over its nodes as its own optimiser leaves them. Convolutions
 * take in normalisations, activations and additions; tensors stay in blocks of channels from one convolution to the next, and
 * are put in another order where an operator asks for that (`nchwc_transformer.cc`, `conv_activation_fusion.cc`).
 */
import { onlyReader, soleProducer } from '../ir/analysis.ts'
import { contextOf, type Graph } from '../ir/graph.ts'
import { inputShape, outputShape } from '../ir/links.ts'
import type { Node, NodeContext, ValueId } from '../ir/op.ts'
import { type AnyOp, isOpaque, opOf } from '../ir/registry.ts'
import type { Tensor } from '../ir/tensor.ts'
import { isStatic, type Shape } from '../ir/type.ts'
import { likelyCount, nodeWork } from './node-work.ts'
import { type CostTable, predict } from './table.ts'
import { type Block, isPlain, kernelOf, readsPlain, termsOf, windowWork, type Work } from './work.ts'

/** A value as it lies in memory, and what may still be done while it is made. */
interface Made {
  readonly isBlocked: boolean
  /** Whether a convolution makes it that takes in what follows. */
  readonly isOpen: boolean
  readonly isSummed: boolean
}

/** What a convolution computes on what it makes before it is stored, and of these what it does behind a sum. */
const activations = new Set(['Relu', 'Sigmoid', 'Tanh', 'LeakyRelu', 'Clip', 'HardSigmoid'])
const blockedActivations = new Set(['Relu', 'Sigmoid', 'Tanh'])
const pools = new Set(['MaxPool', 'AveragePool'])
const globalPools = new Set(['GlobalMaxPool', 'GlobalAveragePool'])

/** Nanoseconds of a run; in shorter ones what it takes besides its nodes counts for more. */
export const leastTime = 1e5

/**
 * Nanoseconds on one thread; open sizes as images and sentences usually have them. Undefined where most of the work is of a
 * kind that the table does not know: integers, and what loops and branches do.
 */
export const graphTime = (graph: Graph, table: CostTable): number | undefined =>
  isKnown(graph) ? nodesRun(graph, table.block).reduce((sum, work) => sum + timeOf(work, table), 0) : undefined

/** The work of the nodes that are left of a graph, reorderings among them. */
export const nodesRun = (graph: Graph, block: Block): ReadonlyArray<Work> => {
  const made = new Map<ValueId, Made>()
  const constant = new Set<ValueId>(graph.constants.keys())
  const reordered = new Set<ValueId>()
  const out: Work[] = []
  const shapeAt = (value: ValueId): Shape | undefined => {
    const type = graph.types.get(value)
    return type?.kind === 'tensor' ? type.shape : undefined
  }
  const isBlocked = (value: ValueId): boolean => made.get(value)?.isBlocked === true
  /** Puts a value in the order in which it is read, once for all that read it so. */
  const need = (value: ValueId, blocked: boolean): void => {
    if (isBlocked(value) === blocked || reordered.has(value)) return
    reordered.add(value)
    const elements = 2 * likelyCount(shapeAt(value))
    out.push({ kind: 'elements', op: blocked ? 'ReorderInput' : 'ReorderOutput', elements })
  }
  for (const node of graph.nodes) {
    const op = opOf(node)
    const ctx = contextOf(graph, node)
    const inputs = node.inputs.filter((name) => name !== '' && !constant.has(name))
    const [output = ''] = node.outputs
    // What is computed from constants is computed once, before any run.
    if (inputs.length === 0) {
      for (const name of node.outputs) constant.add(name)
      continue
    }
    const taken = takenIn(graph, node, inputs, made)
    if (taken !== undefined) {
      made.set(output, taken)
      continue
    }
    const work = nodeWork(op, ctx)
    if (work.kind === 'convolution') {
      const kernel = kernelOf(work, block)
      for (const input of inputs) need(input, !readsPlain(kernel))
      made.set(output, { isBlocked: !isPlain(kernel), isOpen: true, isSummed: false })
      out.push(work)
      continue
    }
    const blocks = staysBlocked(node, op, inputs, ctx, block, isBlocked)
    for (const input of inputs) need(input, blocks)
    if (blocks) made.set(output, { isBlocked: true, isOpen: node.op === 'BatchNormalization', isSummed: false })
    out.push(blocks && node.op === 'BatchNormalization' ? scalingWork(ctx, block) : work)
  }
  for (const { name } of graph.outputs) need(name, false)
  return out
}

/** How much of the multiply-accumulates may be of kinds that no table knows. */
const unknownShare = 0.1

/** Whether nearly all multiply-accumulates are those of convolutions and products of floats. */
const isKnown = (graph: Graph): boolean => {
  const constant = new Set<ValueId>(graph.constants.keys())
  let [all, unknown] = [0, 0]
  for (const node of graph.nodes) {
    if (node.inputs.every((name) => name === '' || constant.has(name)))
      for (const name of node.outputs) constant.add(name)
    // What loops and branches do is not seen here.
    if (isOpaque(node) && node.attrs.defines.length > 0) return false
    const op = opOf(node)
    const ctx = contextOf(graph, node)
    const macs = op.macs?.(ctx) ?? 0
    if (macs === 0) continue
    all += macs
    const c = op.links === 'opaque' || op.links(ctx) === 'opaque' ? undefined : op.contraction?.(ctx)
    const weight = c && (c.weight ?? ctx.constant(c.weightPort))
    // A weight that is computed from constants is one of integers: others have been folded.
    const isPair =
      c === undefined &&
      !node.inputs.some((name) => constant.has(name) && !isOfFloats(graph.constants.get(name))) &&
      (op.pairs?.(ctx) ?? []).length > 0
    if (!isOfFloats(weight) && !isPair) unknown += macs
  }
  return unknown <= unknownShare * all
}

const isOfFloats = (weight: Tensor | undefined): boolean => weight?.dtype === 'float32' && weight.tag !== 'Held'

/** The value behind a convolution that computes a node besides; undefined where there is none. */
const takenIn = (
  graph: Graph,
  node: Node,
  inputs: ReadonlyArray<ValueId>,
  made: ReadonlyMap<ValueId, Made>,
): Made | undefined => {
  const [first = '', second, ...more] = inputs
  const isOpen = (value: ValueId): boolean => made.get(value)?.isOpen === true && onlyReader(graph, value) === node
  const behind = made.get(first)
  if (second === undefined) {
    if (behind === undefined || !isOpen(first)) return undefined
    if (activations.has(node.op) && (!behind.isSummed || blockedActivations.has(node.op)))
      return { ...behind, isOpen: false }
    const isAffine = node.op === 'BatchNormalization' || node.op === 'Mul' || node.op === 'Add'
    return isAffine && !behind.isSummed ? behind : undefined
  }
  const other = made.get(second)
  const isBlocked = behind?.isBlocked ?? false
  if (more.length > 0 || isBlocked !== (other?.isBlocked ?? false)) return undefined
  if (node.op === 'Mul')
    return isGate(graph, first, second) || isGate(graph, second, first) ? closed(isBlocked) : undefined
  const into = [first, second].find((value) => isOpen(value) && made.get(value)?.isSummed !== true)
  if (into === undefined || (node.op !== 'Add' && node.op !== 'Sum')) return undefined
  // Where nothing is in blocks that is done only in front of an activation.
  const next = onlyReader(graph, node.outputs[0] ?? '')
  return isBlocked || (next !== undefined && activations.has(next.op))
    ? { isBlocked, isOpen: true, isSummed: true }
    : undefined
}

const closed = (isBlocked: boolean): Made => ({ isBlocked, isOpen: false, isSummed: false })

/** Whether a value is the sigmoid of another, for a product with that one, which is computed with it. */
const isGate = (graph: Graph, value: ValueId, of: ValueId): boolean => {
  const maker = soleProducer(graph, value)
  return maker?.op === 'Sigmoid' && maker.inputs[0] === of && onlyReader(graph, value) !== undefined
}

/** Whether a node that is no convolution reads and makes blocks of channels. */
const staysBlocked = (
  { op: name }: Node,
  op: AnyOp,
  inputs: ReadonlyArray<ValueId>,
  ctx: NodeContext<unknown>,
  block: Block,
  isBlocked: (value: ValueId) => boolean,
): boolean => {
  if (block === 1 || op.isView === true) return false
  const shapes = ctx.inputs.map((_, port) => inputShape(ctx, port))
  const isWhole = (shape: Shape | undefined): boolean => {
    const channels = shape?.[1]
    return shape?.length === 4 && channels !== undefined && isStatic(channels) && channels % block === 0
  }
  if (pools.has(name)) return isWhole(shapes[0])
  if (!inputs.every(isBlocked) || inputs.length === 0) return false
  if (globalPools.has(name)) return isWhole(shapes[0])
  if (name === 'Concat') return shapes.every(isWhole)
  if (name === 'BatchNormalization' || blockedActivations.has(name)) return true
  const isBinary = name === 'Add' || name === 'Sum' || name === 'Mul'
  return isBinary && inputs.length === ctx.inputs.length && shapes.every((shape) => same(shape, shapes[0]))
}

const same = (a: Shape | undefined, b: Shape | undefined): boolean =>
  a !== undefined && a.length === b?.length && a.every((dim, axis) => dim === b[axis])

/** A normalisation of blocks: a convolution of one place, channel by channel. */
const scalingWork = (ctx: NodeContext<unknown>, block: Block): Work => {
  const [batch = 1, count = 1, ...sizes] = outputShape(ctx) ?? []
  const channels = isStatic(count) ? Math.ceil(count / block) * block : block
  const axes = sizes.map((size, i) => {
    const to = isStatic(size) ? size : likelyCount([1, 1, ...sizes.slice(i, i + 1)])
    return { from: to, to, size: 1, step: 1, gap: 1, before: 0 }
  })
  const window = windowWork(isStatic(batch) ? batch : 1, axes, true)
  return { kind: 'convolution', inputs: channels, outputs: channels, groups: channels, window }
}

/** What is not in the table takes as much as an addition. */
const timeOf = (work: Work, table: CostTable): number => {
  const terms = termsOf(work, table.block)
  return predict(terms, table) ?? predict({ ...terms, kernel: 'Add' }, table) ?? 0
}
