/**
 * What channel elimination did to each layer, and why the rest stayed. A layer is a node that sums over channels, or that mixes them
 * by constant weights.
 */
import type { Reads } from '../../ir/families/contraction.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import type { Elimination } from './index.ts'
import type { Reason } from './relate.ts'
import { bundlesOf, channelsMixed, countsOf } from './mixing.ts'
import { axesOf, type NodeView, viewsOf } from './views.ts'

/** A channel that is dead or given (constant, or a pattern) but stays. */
export interface Stay {
  readonly side: 'input' | 'output'
  readonly index: number
  readonly reason: Reason
}

export interface LayerChange {
  /** Name of the layer's node. */
  readonly layer: string
  readonly op: string
  readonly weight: ValueId
  readonly inputs: number
  readonly outputs: number
  /** Indices kept of the channels read and made; undefined when all are. Empty when the layer is gone. */
  readonly keptInputs: Int32Array | undefined
  readonly keptOutputs: Int32Array | undefined
  readonly stays: ReadonlyArray<Stay>
  /** Fraction of the layer's multiplications left if it could shrink regardless of its neighbours. */
  readonly alone: number
  /** Channels left of it then. */
  readonly needed: { readonly inputs: number; readonly outputs: number }
}

/** The layers of a graph in order. */
export const layerNodes = (graph: Graph): ReadonlyArray<Node> =>
  viewsOf(graph).flatMap(({ node, contraction, mixing }) =>
    contraction === undefined && mixing === undefined ? [] : [node],
  )

/** The graph with a name of its own for every layer, by which reports can follow it through the passes. */
export const nameLayers = (graph: Graph): Graph => {
  const layers = new Set(layerNodes(graph))
  const taken = new Set<string>()
  let changed = false
  const nodes = graph.nodes.map((node) => {
    if (!layers.has(node)) return node
    if (node.name !== '' && !taken.has(node.name)) {
      taken.add(node.name)
      return node
    }
    changed = true
    const hint = node.name || `${node.op}_${node.outputs[0] ?? ''}`
    let name = hint
    for (let i = 1; taken.has(name); i++) name = `${hint}_${i}`
    taken.add(name)
    return { ...node, name }
  })
  return changed ? withParts(graph, { nodes }) : graph
}

/** A layer as channel elimination met it: where its channels lie, and which of them something needs. */
interface Met {
  readonly weight: number
  readonly inputs: Side
  readonly outputs: Side
  readonly alone: number
}

interface Side {
  readonly value: ValueId
  readonly axis: number
  readonly count: number
  readonly isNeeded: (index: number) => boolean
}

const countNeeded = ({ count, isNeeded }: Side): number => {
  let needed = 0
  for (let i = 0; i < count; i++) if (isNeeded(i)) needed += 1
  return needed
}

const layerMet = (view: NodeView, { before, facts }: Elimination): Met | undefined => {
  const { node, ctx, contraction: c, reads: r, mixing } = view
  const needed = facts.needed(node)
  const reads = (value: ValueId, axis: number, count: number): Side => ({
    value,
    axis,
    count,
    isNeeded: (i) => needed?.[i] === 1 && !facts.isGiven(value, axis, i),
  })
  const makes = (value: ValueId, axis: number): Side['isNeeded'] => {
    const live = facts.live(value, axis)
    return (o) => live?.[o] !== 0 && !facts.isGiven(value, axis, o)
  }
  if (c !== undefined && r !== undefined) {
    const inputs = reads(node.inputs[c.port] ?? '', c.axis, r.inputs)
    const value = node.outputs[0] ?? ''
    const isNeeded = makes(value, c.outputAxis)
    const outputs = { value, axis: c.outputAxis, count: r.outputs, isNeeded }
    return { weight: c.weightPort, inputs, outputs, alone: aloneFraction(r, isNeeded, inputs.isNeeded) }
  }
  if (mixing === undefined) return undefined
  const bundles = bundlesOf(before, view)
  const [[read], made = []] = [bundles[mixing.layer.inputs] ?? [], bundles[mixing.layer.outputs]]
  const outcomes = made.filter(({ side }) => side === 'output')
  const [first] = outcomes
  if (first === undefined) return undefined
  const counts = channelsMixed(ctx, mixing)
  const inputs: Side =
    read === undefined
      ? { value: '', axis: 0, count: counts.inputs, isNeeded: () => true }
      : reads(read.value, read.axis, counts.inputs)
  const wanted = outcomes.map(({ value, axis }) => makes(value, axis))
  const outputs: Side = {
    value: first.value,
    axis: first.axis,
    count: counts.outputs,
    isNeeded: (o) => wanted.some((isWanted) => isWanted(o)),
  }
  const alone = mixing.work(
    countsOf(before, view, (value, axis) =>
      value === inputs.value && axis === inputs.axis
        ? countNeeded(inputs)
        : value === outputs.value && axis === outputs.axis
          ? countNeeded(outputs)
          : (axesOf(before, value)[axis] ?? 0),
    ),
  )
  return { weight: mixing.layer.weightPort, inputs, outputs, alone }
}

export const explain = (elimination: Elimination): ReadonlyArray<LayerChange> =>
  viewsOf(elimination.before).flatMap((view) => {
    const { node } = view
    const { decision } = elimination
    const met = layerMet(view, elimination)
    if (met === undefined) return []
    const { inputs, outputs } = met
    const gone = node.outputs.every((value) => value === '' || decision.vanished(value))
    const none = new Int32Array()
    const stays = (['input', 'output'] as const).flatMap((side): Stay[] => {
      const { value, axis, count, isNeeded } = side === 'input' ? inputs : outputs
      return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
        const reason = isNeeded(index) ? undefined : decision.reason(value, axis, index)
        return reason === undefined ? [] : [{ side, index, reason }]
      })
    })
    return [
      {
        layer: node.name,
        op: node.op,
        weight: node.inputs[met.weight] ?? '',
        inputs: inputs.count,
        outputs: outputs.count,
        keptInputs: gone ? none : decision.kept(inputs.value, inputs.axis),
        keptOutputs: gone ? none : decision.kept(outputs.value, outputs.axis),
        stays,
        alone: met.alone,
        needed: { inputs: countNeeded(inputs), outputs: countNeeded(outputs) },
      },
    ]
  })

const aloneFraction = (r: Reads, isWanted: (o: number) => boolean, isNeeded: (i: number) => boolean): number => {
  let pairs = 0
  for (let group = 0; group < r.contraction.groups; group++) {
    const count = (size: number, holds: (i: number) => boolean): number => {
      let n = 0
      for (let i = group * size; i < (group + 1) * size; i++) if (holds(i)) n += 1
      return n
    }
    pairs += count(r.outputsPerGroup, isWanted) * count(r.inputsPerGroup, isNeeded)
  }
  return pairs / (r.outputs * r.inputsPerGroup)
}
