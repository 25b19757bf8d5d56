import { memoized } from '../ir/analysis.ts'
import { mostMembers } from '../ir/families/sequences.ts'
import { contextOf } from '../ir/graph.ts'
import type { SequenceMember, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import { rewritePass } from './rewrite.ts'

/** The members of sequences, by their names: of those that are made in the graph, of what is known there. */
const membersOf = memoized((graph): ReadonlyMap<ValueId, ReadonlyArray<SequenceMember>> => {
  const known = new Map<ValueId, ReadonlyArray<SequenceMember>>()
  for (const node of graph.nodes) {
    const members = opOf(node).members?.(contextOf(graph, node), (port) => known.get(node.inputs[port] ?? ''))
    const [output = ''] = node.outputs
    if (members !== undefined && members.length <= mostMembers) known.set(output, members)
  }
  return known
})

/**
 * Scalar replacement of aggregates: what reads a sequence of which the members are known reads these (`OpDef.members`,
 * `OpDef.ofMembers`), so that channels are followed through them. The sequence itself goes where nothing else reads it.
 */
export const scalariseSequences = rewritePass('scalarise-sequences', [
  (graph, node, names) => {
    const { ofMembers } = opOf(node)
    const members = ofMembers && membersOf(graph).get(node.inputs[0] ?? '')
    const made = members && ofMembers?.(contextOf(graph, node), members, names.fresh)
    return made && { removes: [node], ...made }
  },
])
