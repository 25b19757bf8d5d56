import * as E from 'fp-ts/lib/Either.js'
import { freshNames } from '../ir/analysis.ts'
import { failure, invariant } from '../ir/failure.ts'
import { contextOf, type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { opOf } from '../ir/registry.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { Pass, PassError } from './pass.ts'

/** The most sweeps over the graph; each must simplify something. */
const sweeps = 100

/**
 * Replaces nodes by the simpler equivalents that their operators know (`OpDef.simplify`), until none knows one. Which
 * equivalent is exact, and under which conditions, each operator says in its own file.
 */
export const simplify: Pass = {
  name: 'simplify',
  run: (graph) => simplified(graph),
}

const simplified = (graph: Graph): E.Either<PassError, Graph> => {
  let current = graph
  for (let i = 0; i < sweeps; i++) {
    const next = sweep(current)
    if (next === current) return E.right(current)
    current = next
  }
  return E.left(
    failure(
      'DidNotConverge',
      'pass simplify',
      `no change within ${sweeps} sweeps`,
      `a graph of ${current.nodes.length} nodes that still changes`,
      'Two simplifications undo each other: please report this model.',
    ),
  )
}

const sweep = (graph: Graph): Graph => {
  const fresh = freshNames(graph)
  const nodes: Node[] = []
  const constants = new Map<ValueId, Tensor>(graph.constants)
  let changed = false
  for (const node of graph.nodes) {
    const rewrite = opOf(node).simplify?.(contextOf(graph, node), fresh)
    if (rewrite === undefined) {
      nodes.push(node)
      continue
    }
    changed = true
    nodes.push(...rewrite.nodes)
    for (const [name, tensor] of rewrite.constants) {
      invariant(!constants.has(name), `simplifying ${node.op} ${node.name} redefines the constant ${name}`)
      constants.set(name, tensor)
    }
  }
  return changed ? withParts(graph, { nodes, constants }) : graph
}
