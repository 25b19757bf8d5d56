/** What channel elimination did to each layer, and why the rest stayed. A layer is a node that sums over channels. */
import type { Reads } from '../../ir/families/contraction.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import type { Elimination } from './index.ts'
import type { Reason } from './relate.ts'
import { viewsOf } from './views.ts'

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
}

/** The layers of a graph in order. */
export const layerNodes = (graph: Graph): ReadonlyArray<Node> =>
  viewsOf(graph).flatMap(({ node, contraction }) => (contraction === undefined ? [] : [node]))

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

export const explain = ({ before, facts, decision }: Elimination): ReadonlyArray<LayerChange> =>
  viewsOf(before).flatMap(({ node, contraction: c, reads: r }) => {
    if (c === undefined || r === undefined) return []
    const input = node.inputs[c.port] ?? ''
    const output = node.outputs[0] ?? ''
    const gone = decision.vanished(output)
    const none = new Int32Array()
    const live = facts.live(output, c.outputAxis)
    const isWanted = (o: number): boolean => live?.[o] !== 0 && !facts.isGiven(output, c.outputAxis, o)
    const needed = facts.needed(node)
    const isNeeded = (i: number): boolean => needed?.[i] === 1 && !facts.isGiven(input, c.axis, i)
    const stays: Stay[] = []
    const stay = (
      side: Stay['side'],
      value: ValueId,
      axis: number,
      count: number,
      needs: (i: number) => boolean,
    ): void => {
      for (let index = 0; index < count; index++) {
        const reason = needs(index) ? undefined : decision.reason(value, axis, index)
        if (reason !== undefined) stays.push({ side, index, reason })
      }
    }
    stay('input', input, c.axis, r.inputs, isNeeded)
    stay('output', output, c.outputAxis, r.outputs, isWanted)
    return [
      {
        layer: node.name,
        op: node.op,
        weight: node.inputs[c.weightPort] ?? '',
        inputs: r.inputs,
        outputs: r.outputs,
        keptInputs: gone ? none : decision.kept(input, c.axis),
        keptOutputs: gone ? none : decision.kept(output, c.outputAxis),
        stays,
        alone: aloneFraction(r, isWanted, isNeeded),
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
