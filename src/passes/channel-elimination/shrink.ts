/** Rebuilds the graph with the kept channels: constants gathered, attributes updated, types re-inferred. Nothing else. */
import { fixedNames, freshNames, usersOf } from '../../ir/analysis.ts'
import { gatherOperands } from '../../ir/gather-operands.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import { placeOf, shapeOf } from '../../ir/links.ts'
import type { Node, ShrinkContext, ValueId } from '../../ir/op.ts'
import type { Tensor } from '../../ir/tensor.ts'
import type { ChannelFacts } from './analyse.ts'
import type { Decision } from './decide.ts'
import { valueAt } from './mixing.ts'
import { axesOf, type NodeView, partnerOf, viewsOf } from './views.ts'

export const shrink = (graph: Graph, facts: ChannelFacts, decision: Decision): Graph => {
  if (!decision.changes) return graph
  const nodes: Node[] = []
  const constants = new Map(graph.constants)
  const hints = new Map(graph.hints)
  const fresh = freshNames(graph)
  const shrunk = (value: ValueId): boolean =>
    axesOf(graph, value).some((_, axis) => decision.kept(value, axis) !== undefined)
  for (const view of viewsOf(graph)) {
    const { node, op } = view
    const outputs = node.outputs.filter((o) => o !== '')
    if (outputs.length > 0 && outputs.every((o) => decision.vanished(o))) continue
    for (const output of outputs) if (shrunk(output)) hints.delete(output)
    const isTouched = [...node.inputs, ...node.outputs].some(shrunk) || keepsDead(view, facts, decision)
    if (view.links === 'opaque' || !isTouched) {
      nodes.push(node)
      continue
    }
    const context = shrinkContext(graph, view, facts, decision, fresh)
    const rewrite = op.shrink === undefined ? gatherOperands(context) : op.shrink(context)
    nodes.push(...rewrite.nodes)
    for (const [name, tensor] of rewrite.constants) constants.set(name, tensor)
  }
  return withParts(graph, { nodes, constants: onlyUsed(graph, nodes, constants), hints })
}

/** Whether a contraction keeps output channels that nothing needs, and is to write them as zeros. */
const keepsDead = ({ node, contraction: c, mixing }: NodeView, facts: ChannelFacts, decision: Decision): boolean => {
  const made = mixing?.bundles.flat().filter(({ side }) => side === 'output') ?? []
  if (made.some((one) => keepsDeadAlong(valueAt(node, one), one.axis, facts, decision))) return true
  const [output = ''] = node.outputs
  return c?.payable === true && keepsDeadAlong(output, c.outputAxis, facts, decision)
}

const keepsDeadAlong = (value: ValueId, axis: number, facts: ChannelFacts, decision: Decision): boolean => {
  const exact = facts.exact(value, axis)
  const kept = decision.kept(value, axis)
  return exact?.includes(0) === true && (kept === undefined ? true : kept.some((o) => exact[o] === 0))
}

/** Constants that lost their last reader go with it; those that had none before stay for other passes. */
const onlyUsed = (
  graph: Graph,
  nodes: ReadonlyArray<Node>,
  constants: ReadonlyMap<ValueId, Tensor>,
): ReadonlyMap<ValueId, Tensor> => {
  const used = new Set<ValueId>(fixedNames(graph))
  for (const node of nodes) for (const input of node.inputs) used.add(input)
  const before = usersOf(graph)
  return new Map([...constants].filter(([name]) => used.has(name) || !before.has(name)))
}

const shrinkContext = (
  graph: Graph,
  { node, ctx, links, pairs }: NodeView,
  facts: ChannelFacts,
  decision: Decision,
  fresh: (hint: string) => ValueId,
): ShrinkContext<unknown> => {
  const keptOutput = (output: number, axis: number): Int32Array | undefined =>
    decision.kept(node.outputs[output] ?? '', axis)
  /** A constant operand follows the outputs made from it, and what it is multiplied with. */
  const keptOperand = (port: number, axis: number): Int32Array | undefined => {
    if (links === 'opaque') return undefined
    const partner = partnerOf(pairs, port, axis)
    const size = graph.constants.get(node.inputs[port] ?? '')?.shape[axis] ?? 0
    if (partner !== undefined) {
      const { ports, axes, period } = partner.pair
      const kept = decision.kept(node.inputs[ports[partner.side]] ?? '', axes[partner.side])
      if (kept === undefined || period === undefined) return kept
      const remainders = new Set(kept.map((i) => i % period))
      return Int32Array.from({ length: size }, (_, i) => i).filter((i) => remainders.has(i % period))
    }
    for (const link of links) {
      if (link.input !== port || link.inputAxis !== axis || (link.into !== undefined && link.from !== undefined))
        continue
      if (link.outputAxis >= (shapeOf(ctx.outputs[link.output])?.length ?? 0)) continue
      const outputs = keptOutput(link.output, link.outputAxis)
      if (outputs === undefined) continue
      const { from, into } = link
      if (into !== undefined) {
        const places = new Set(outputs)
        return Int32Array.from({ length: size }, (_, i) => i).filter((i) => {
          const place = placeOf(into, i)
          return place < 0 || places.has(place)
        })
      }
      if (from === undefined) return outputs
      const kept = new Uint8Array(size)
      const made = new Uint8Array(size)
      for (let o = from.first; o < from.end; o++) made[from.at(o)] = 1
      for (const o of outputs) if (o >= from.first && o < from.end) kept[from.at(o)] = 1
      return Int32Array.from(kept.keys()).filter((i) => kept[i] === 1 || made[i] === 0)
    }
    return undefined
  }
  const fixed = fixedNames(graph)
  return {
    ...ctx,
    keptOutput,
    keptInput: (port, axis) => {
      const value = node.inputs[port] ?? ''
      return graph.constants.has(value) ? keptOperand(port, axis) : decision.kept(value, axis)
    },
    constantsOf: (port, axis) => facts.constants(node.inputs[port] ?? '', axis),
    constantsOfOutput: (output, axis) => facts.constants(node.outputs[output] ?? '', axis),
    patternsOf: (port, axis) => facts.patterns(node.inputs[port] ?? '', axis),
    isBordered: decision.isBordered(node),
    exactOutput: (output, axis) => facts.exact(node.outputs[output] ?? '', axis),
    rename: (port, hint) => {
      const value = node.inputs[port] ?? ''
      const readers = usersOf(graph).get(value) ?? []
      const alone = readers.length === 1 && node.inputs.filter((i) => i === value).length === 1
      return value !== '' && graph.constants.has(value) && alone && !fixed.has(value) ? value : fresh(hint)
    },
    fresh,
  }
}
