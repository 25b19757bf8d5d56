/** Who needs a channel, for the reasons of those that stay with it. */
import { producersOf, usersOf } from '../../ir/analysis.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import type { ChannelFacts } from './analyse.ts'
import type { Reason } from './relate.ts'
import { type Channel, viewOf } from './views.ts'

/** The reason with who needs the channel that keeps a class, if that is what keeps it. */
export const inWords = (graph: Graph, facts: ChannelFacts, reason: Reason, value: ValueId): Reason => {
  const { channel } = reason
  if (channel === undefined) return reason
  const by = readersOf(graph, facts, channel)
  const [it, other] = [sourceOf(graph, value), sourceOf(graph, channel.value)]
  const text = it === other ? `is needed by ${by}` : `goes with a channel of ${other} that ${by} needs`
  return { ...reason, text }
}

/** What a cut selects from, which is no value of the model's; else the value itself. */
const sourceOf = (graph: Graph, value: ValueId): ValueId => {
  const maker = producersOf(graph).get(value)
  return maker !== undefined && isCutNode(graph, maker) ? (maker.inputs[0] ?? value) : value
}

const isCutNode = (graph: Graph, node: Node): boolean => {
  const view = viewOf(graph, node)
  return view !== undefined && view.selection?.isWhole === true
}

/** The first node that needs a channel, and whether there are others. */
const readersOf = (graph: Graph, facts: ChannelFacts, { value, axis, index }: Channel): string => {
  const users = usersOf(graph)
  const behind = (node: Node): ReadonlyArray<Node> =>
    isCutNode(graph, node) ? (users.get(node.outputs[0] ?? '') ?? []) : [node]
  const readers = (users.get(value) ?? []).flatMap(behind).filter((node) => {
    const view = viewOf(graph, node)
    const needed = view?.contraction?.axis === axis ? facts.needed(node) : undefined
    if (needed !== undefined && node.inputs[view?.contraction?.port ?? -1] === value) return needed[index] === 1
    return node.outputs.some(facts.isUsed)
  })
  const [first] = readers
  if (first === undefined) return 'the outputs of the graph'
  return readers.length === 1 ? labelOf(first) : `${labelOf(first)} and ${plural(readers.length - 1)}`
}

const plural = (others: number): string => (others === 1 ? 'another node' : `${others} other nodes`)
