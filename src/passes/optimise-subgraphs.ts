import * as E from 'fp-ts/lib/Either.js'
import { sameBytes } from '../ir/equal.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import type { Node } from '../ir/op.ts'
import type { OpaqueAttributes } from '../ir/ops/opaque.ts'
import { isOpaque } from '../ir/registry.ts'
import type { Tensor } from '../ir/tensor.ts'
import { tooManyChannels } from './channel-elimination/tracking.ts'
import { type Pass, type PassError, runPipeline, type Step } from './pass.ts'
import type { OpaqueNode, Subgraph, Subgraphs } from './subgraphs.ts'

/**
 * Compiles subgraphs as graphs of their own: the bodies of Loop and Scan and the branches of If keep their inputs and outputs,
 * and read what they capture, of which constants are known. A captured constant of which less is left becomes one of the
 * subgraph; other readers keep theirs.
 *
 * Guards: a subgraph with too many channels to tell apart, or of which no more is known than when it was compiled before, stays.
 */
export const optimiseSubgraphs = (subgraphs: Subgraphs, steps: () => ReadonlyArray<Step>): Pass => {
  /** The constants that a node captured when nothing was left to do in its subgraphs, by its attributes. */
  const done = new WeakMap<OpaqueAttributes, ReadonlyArray<Tensor | undefined>>()
  const optimise = (graph: Graph, node: OpaqueNode): E.Either<PassError, OpaqueNode> => {
    const captured = node.attrs.captures.map((name) => graph.constants.get(name))
    const before = done.get(node.attrs)
    if (before?.every((tensor, i) => tensor === captured[i])) return E.right(node)
    const opened = subgraphs.open(node, graph)
    const next: Subgraph[] = []
    for (const one of opened ?? []) {
      const compiled = tooManyChannels(one.graph) === undefined ? runPipeline(steps(), one.graph) : E.right(one.graph)
      if (E.isLeft(compiled)) return compiled
      next.push(compiled.right === one.graph ? one : { ...one, graph: compiled.right })
    }
    if (opened === undefined || next.every((one, i) => one === opened[i])) {
      done.set(node.attrs, captured)
      return E.right(node)
    }
    const closed = subgraphs.close(node, graph, next)
    if (sameBytes(closed.attrs.payload, node.attrs.payload)) {
      done.set(node.attrs, captured)
      return E.right(node)
    }
    done.set(
      closed.attrs,
      closed.attrs.captures.map((name) => graph.constants.get(name)),
    )
    return E.right(closed)
  }
  return {
    name: 'optimise-subgraphs',
    run: (graph) => {
      const nodes: Node[] = []
      for (const node of graph.nodes) {
        const next = isOpaque(node) && node.attrs.defines.length > 0 ? optimise(graph, node) : E.right(node)
        if (E.isLeft(next)) return next
        nodes.push(next.right)
      }
      return E.right(nodes.every((node, i) => node === graph.nodes[i]) ? graph : withParts(graph, { nodes }))
    },
  }
}
