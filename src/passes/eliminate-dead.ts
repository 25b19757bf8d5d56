import * as E from 'fp-ts/lib/Either.js'
import { type Graph, readsOf, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import type { Pass } from './pass.ts'

/**
 * Drops nodes, constants and declared types that reach no graph output and nothing that preserved parts of the model
 * name. No ONNX operator has side effects, so an unread result needs no computing, random ones included. A node with
 * one read output keeps all of its outputs: how many there are can be part of what it computes (Split). Graph inputs
 * and their defaults stay: they are the model's interface.
 */
export const eliminateDead: Pass = {
  name: 'eliminate-dead',
  run: (graph) => E.right(withoutDead(graph)),
}

const withoutDead = (graph: Graph): Graph => {
  const needed = new Set<ValueId>(graph.preserved.uses)
  for (const output of graph.outputs) needed.add(output.name)
  const reversed: Node[] = []
  for (const node of graph.nodes.toReversed()) {
    if (!node.outputs.some((output) => needed.has(output))) continue
    reversed.push(node)
    for (const input of readsOf(node)) needed.add(input)
  }
  const defined = new Set<ValueId>(needed)
  for (const node of reversed) for (const output of node.outputs) defined.add(output)
  const constants = new Map([...graph.constants].filter(([name]) => needed.has(name)))
  const hints = new Map([...graph.hints].filter(([name]) => defined.has(name)))
  const same =
    reversed.length === graph.nodes.length && constants.size === graph.constants.size && hints.size === graph.hints.size
  return same ? graph : withParts(graph, { nodes: reversed.toReversed(), constants, hints })
}
