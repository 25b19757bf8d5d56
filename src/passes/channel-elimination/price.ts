/**
 * What a node costs in the making of a decision, in multiply-accumulates. Moving one float through memory (a gather, an
 * addition) and a width that the target is slow at are counted as what they take of its time.
 */
import { contractionWork, likelyCount } from '../../cost/node-work.ts'
import { timeOfMacs, workTime } from '../../cost/table.ts'
import { type Convolution, kernelOf, readsPlain } from '../../cost/work.ts'
import { memoized, onlyReader, soleProducer } from '../../ir/analysis.ts'
import { planGroups } from '../../ir/families/groups.ts'
import type { Graph } from '../../ir/graph.ts'
import { countOf, inputShape, outputShape, shapeOf } from '../../ir/links.ts'
import type { Node, NodeContext, Pair, ValueId } from '../../ir/op.ts'
import { widthMultiple, widthsAbove } from '../target.ts'
import type { Draft } from './draft.ts'
import { countsOf } from './mixing.ts'
import { axesOf, type NodeView, ownAxesOf, viewsOf } from './views.ts'

/**
 * A float read, changed and written takes the time of about this many multiply-accumulates of a convolution: to add a constant
 * behind a 1x1 convolution took as long as 24 to 61 further input channels (ONNX Runtime's CPU provider, one thread).
 */
export const elementPrice = 32

/**
 * How much more an element takes between two convolutions that are computed in blocks of channels: what is added in the order of ONNX
 * is reordered in front and behind, and the activation behind it is a node of its own (`ReorderOutput`, `ReorderInput` and `Relu` of
 * the tables in `src/cost`).
 */
const unblocked = 2

/** The same where no target says what is slow, so that multiplications count: it decides between equals only. */
export const leastElementPrice = 2 ** -20

/**
 * How much longer a contraction takes that reads a number of channels the target is slow at. Two 3x3 convolutions with 61 to
 * 255 channels between them took 1.06 to 1.25 times as long for each multiply-accumulate as with a multiple of 16, all of
 * it in the second one (ONNX Runtime's CPU provider).
 */
const oddWidth = 1.3

/**
 * Of a node with the channels that stay at the moment; 0 for one that vanishes. A width that is not final may still be rounded
 * up, where that is cheaper.
 */
export const priceOf = (view: NodeView, draft: Draft, isFinal: boolean): number => {
  const perElement = draft.target === undefined ? leastElementPrice : elementPrice
  const { node, op, ctx, contraction: c, reads, pairs } = view
  const [output = ''] = node.outputs
  if (draft.vanished(output)) return 0
  if (view.mixing !== undefined) {
    const counts = countsOf(draft.graph, view, (value, axis) => {
      const kept = draft.kept(value, axis)
      return kept === undefined ? (axesOf(draft.graph, value)[axis] ?? 0) : count(kept)
    })
    return (op.macs?.(ctx) ?? 0) * view.mixing.work(counts)
  }
  if (pairs.length > 0) {
    const summed = ownPairs(ctx, pairs).reduce<number>(
      (share, { ports, axes }) => share * shareOf(draft, node.inputs[ports[0]] ?? '', axes[0]),
      1,
    )
    const made = ownAxesOf(draft.graph, output).reduce<number>(
      (share, _, axis) => share * shareOf(draft, output, axis),
      1,
    )
    return (op.macs?.(ctx) ?? 0) * summed * made
  }
  if (c === undefined || reads === undefined) {
    const moved = movedAtCut(view, draft)
    if (moved !== undefined) return moved * perElement
    const [made, isFree] = [elementsMade(view, draft), freeNodes(draft.graph).has(node)]
    const putBack = constantsPutBack(view, draft)
    const whole = countOf(outputShape(ctx))
    if (putBack.size === 0) return isFree ? 0 : made * perElement
    // One number is padded with, several are added besides; then comes the node with all channels, and what drops some of them.
    return ((isFree ? 0 : whole) + (putBack.size > 1 ? 2 : 1) * whole + made) * perElement
  }
  const macs = op.macs?.(ctx) ?? 0
  const price = contractionPrice(view, draft, macs, isFinal)
  const input = draft.kept(node.inputs[c.port] ?? '', c.axis) ?? new Uint8Array(reads.inputs).fill(1)
  const made = draft.kept(output, c.outputAxis) ?? new Uint8Array(reads.outputs).fill(1)
  const [ins, outs] = [count(input), count(made)]
  const elements = (countOf(outputShape(ctx)) / reads.outputs) * outs
  const isBordered = draft.detours.border.has(node) && owesBorder(view, draft, input)
  const detours = isBordered ? elements * perElement * (draft.cost === undefined ? 1 : unblocked) : 0
  if (c.groups > 1) {
    const plan = planGroups(reads, c.groups, { input, output: made })
    const [inside, outside] = [ins + plan.backInputs.length, outs + plan.backOutputs.length]
    const [read, written] = [countOf(inputShape(ctx, c.port)) / reads.inputs, countOf(outputShape(ctx)) / reads.outputs]
    const moved = (plan.backInputs.length > 0 ? inside * read : 0) + (plan.backOutputs.length > 0 ? outs * written : 0)
    return price(inside, outside, Math.max(1, plan.groups.length)) + detours + moved * perElement
  }
  return price(ins, outs, 1) + detours
}

type ContractionPrice = (inputs: number, outputs: number, groups: number) => number

/** What fewer multiply-accumulates are worth between widths that take the same time: a share of their usual price. */
const savedPrice = 0.02

/** The price of a contraction for so many channels in so many groups. */
const contractionPrice = (view: NodeView, draft: Draft, macs: number, isFinal: boolean): ContractionPrice => {
  const { reads } = view
  const { target, cost } = draft
  const whole = reads === undefined ? 1 : reads.inputsPerGroup * reads.outputs
  const macsOf: ContractionPrice = (inputs, outputs, groups) => (macs * inputs * outputs) / groups / whole
  if (reads === undefined || target === undefined) return macsOf
  if (cost === undefined) {
    const multiple = widthMultiple(reads, target)
    return (inputs, outputs, groups) => {
      const rounded = Math.ceil(inputs / multiple) * multiple
      const slow = rounded === inputs ? 1 : isFinal ? oddWidth : Math.min(oddWidth, rounded / inputs)
      return macsOf(inputs, outputs, groups) * slow
    }
  }
  const work = convolutionOf(view)
  if (work === undefined) return macsOf
  const perMac = timeOfMacs(cost) * openness(view)
  const timeOf = (convolution: Convolution): number | undefined => {
    const time = workTime(convolution, cost)
    const isReordered = readsPlain(kernelOf(convolution, cost.block)) && isBehindConvolution(draft.graph, view)
    return time && time + (isReordered ? draft.reordering : 0)
  }
  return (inputs, outputs, groups) => {
    const products = macsOf(inputs, outputs, groups)
    const widths = isFinal ? [inputs] : [inputs, ...widthsAbove(inputs, cost.block)]
    const times = widths.map((width) => timeOf({ ...work, inputs: width, outputs, groups }))
    const known = times.filter((time) => time !== undefined)
    return known.length < times.length ? products : Math.min(...known) / perMac + savedPrice * products
  }
}

/** Nanoseconds of a run for which no channel stays that could go. */
const leastNanoseconds = 1000

/** What the rounding of a width that a node reads has to save, so that small networks are as small as they can be. */
export const leastGain = (view: NodeView, { cost }: Draft): number =>
  cost === undefined ? 0 : leastNanoseconds / timeOfMacs(cost) / openness(view)

/** A convolution with all its channels; products are counted by their multiply-accumulates. */
const convolutionOf = ({ ctx, contraction, reads }: NodeView): Convolution | undefined => {
  const work = contraction && reads && contractionWork(ctx, contraction, reads.weight)
  return work?.kind === 'convolution' ? work : undefined
}

/** Whether a convolution makes what this one reads: where that has to be reordered, a node does it that would not be there. */
const isBehindConvolution = (graph: Graph, { node, contraction: c }: NodeView): boolean => {
  const views = viewByNode(graph)
  let maker = soleProducer(graph, node.inputs[c?.port ?? 0] ?? '')
  while (maker !== undefined && freeNodes(graph).has(maker)) {
    const computed = maker.inputs.find((name) => name !== '' && !graph.constants.has(name)) ?? ''
    maker = soleProducer(graph, computed)
  }
  const view = maker && views.get(maker)
  return view !== undefined && convolutionOf(view) !== undefined
}

/** How many times the work counts in a time that counts once in multiply-accumulates, which take sizes that are open as 1. */
const openness = (view: NodeView): number => {
  const made = countOf(outputShape(view.ctx))
  return made === 0 ? 1 : likelyCount(outputShape(view.ctx)) / made
}

const viewByNode = memoized((graph) => new Map(viewsOf(graph).map((view) => [view.node, view])))

/** Elements moved by a cut: none where it still selects all that is left. */
const movedAtCut = (view: NodeView, draft: Draft): number | undefined => {
  const found = view.selection
  if (found?.isWhole !== true) return undefined
  const { node } = view
  const { facts, goes, graph } = draft
  const [input = ''] = node.inputs
  const [output = ''] = node.outputs
  const { inputAxis, outputAxis } = found.link
  const size = ownAxesOf(graph, output)[outputAxis] ?? 0
  const constants = facts.constants(input, inputAxis)
  const back = new Set<number>()
  let [ins, outs, isTaken] = [0, 0, false]
  for (let i = 0; i < size; i++) {
    const gone = { input: goes(input, inputAxis, i), output: goes(output, outputAxis, i) }
    if (!gone.input) ins += 1
    if (!gone.output) outs += 1
    if (gone.input !== gone.output) isTaken = true
    if (gone.input && !gone.output) back.add(constants?.[i] ?? 0)
  }
  if (!isTaken) return 0
  if (back.size === 0) return elementsMade(view, draft)
  // The constants are padded with, and added where they are several; the sum behind is not made with what is in front any more.
  const restored = (Math.min(2, back.size) * (ins + back.size)) / Math.max(1, outs)
  return elementsMade(view, draft) * (2 + restored)
}

/** The constants that leave and are put back in front of a node. What it makes of them is dropped behind it. */
const constantsPutBack = ({ node, statistics }: NodeView, { facts, kept }: Draft): ReadonlySet<number> => {
  const s = statistics.find(({ isPadded }) => isPadded)
  const value = node.inputs[s?.port ?? -1] ?? ''
  const marks = s && kept(value, s.axis)
  const out = new Set<number>()
  if (s === undefined || marks === undefined) return out
  const constants = facts.constants(value, s.axis)
  const perGroup = marks.length / s.groups
  for (let start = 0; start < marks.length; start += perGroup) {
    const group = marks.subarray(start, start + perGroup)
    if (group.includes(1)) group.forEach((mark, i) => mark === 0 && out.add(constants?.[start + i] ?? 0))
  }
  return out
}

/** Whether a channel goes that may add something that differs from position to position. */
const owesBorder = ({ node, contraction: c }: NodeView, { facts }: Draft, kept: Uint8Array): boolean => {
  if (c === undefined) return false
  const value = node.inputs[c.port] ?? ''
  const [patterns, constants] = [facts.patterns(value, c.axis), facts.constants(value, c.axis)]
  const intoBias = c.uniform && c.payable
  const isOwed = (i: number): boolean => {
    const number = constants?.[i] ?? NaN
    return Number.isNaN(number) ? patterns?.has(i) === true : number !== 0 && !intoBias
  }
  return kept.some((keeps, i) => keeps === 0 && isOwed(i))
}

/** Elements of the outputs that stay, symbolic sizes counted as 1. */
const elementsMade = ({ node, ctx }: NodeView, draft: Draft): number =>
  node.outputs.reduce((sum, value, k) => {
    if (value === '' || draft.vanished(value)) return sum
    const shape = outputShape(ctx, k)
    const share = (shape ?? []).reduce<number>((product, _, axis) => product * shareOf(draft, value, axis), 1)
    return sum + countOf(shape) * share
  }, 0)

/**
 * The nodes that are taken to cost no time of their own: nothing is moved, or they follow on a contraction that nothing else
 * reads and make as many elements, as normalisations and activations do. Such chains are mostly fused.
 */
const freeNodes = memoized((graph): ReadonlySet<Node> => {
  const free = new Set<Node>()
  const producers = new Set<Node>()
  for (const { node, op, ctx, contraction } of viewsOf(graph)) {
    const [input = '', ...others] = node.inputs.filter((name) => name !== '' && !graph.constants.has(name))
    const producer = others.length === 0 && onlyReader(graph, input) === node ? soleProducer(graph, input) : undefined
    const isSameSize = countOf(shapeOf(graph.types.get(input))) === countOf(outputShape(ctx))
    const isFused = producer !== undefined && producers.has(producer) && isSameSize && contraction === undefined
    if (isFused || contraction !== undefined) producers.add(node)
    if (isFused || op.isView === true) free.add(node)
  }
  return free
})

/** The pairs along axes that are no joint ones. */
const ownPairs = (ctx: NodeContext<unknown>, pairs: ReadonlyArray<Pair>): ReadonlyArray<Pair> =>
  pairs.filter(({ ports, axes }) => axes[0] < (inputShape(ctx, ports[0])?.length ?? 0))

/** How many of the indices along an axis stay, as a fraction. */
const shareOf = (draft: Draft, value: ValueId, axis: number): number => {
  const marks = draft.kept(value, axis)
  return marks === undefined ? 1 : count(marks) / Math.max(1, marks.length)
}

const count = (marks: Uint8Array): number => {
  let n = 0
  for (const mark of marks) n += mark
  return n
}
