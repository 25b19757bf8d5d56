import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, freshNames, usersOf } from '../ir/analysis.ts'
import { byteLength } from '../ir/dtype.ts'
import { type Graph, withParts } from '../ir/graph.ts'
import { constantContext } from '../ir/interpret.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { Identity } from '../ir/ops/identity.ts'
import { makeNode } from '../ir/make-node.ts'
import { encodeAttributes, isOp, opOf } from '../ir/registry.ts'
import { type Dense, materialize, type Tensor, tensorOf } from '../ir/tensor.ts'
import { isStatic, sizeOf, staticShape } from '../ir/type.ts'
import type { Pass } from './pass.ts'

/** A node may make its constants larger by this much: tract's allowance for constant propagation. */
const growthPerNode = 4 * 2 ** 20

/** What all folds together may add. Where they would add more, only those that add next to nothing happen. */
const growthInAll = 64 * 2 ** 20

/** A result up to this size is next to nothing: shapes, axes, scales. */
const negligible = 64 * 2 ** 10

/**
 * Computes ahead of time what does not depend on the model's inputs: nodes whose inputs are all constants, by the
 * operator's reference evaluation (one rounding for each operator, as at run time), and integers of which every element
 * is known from shapes (`Graph.contents`). An operator without an evaluation (random ones, subgraphs) is never folded.
 *
 * Guards: the result takes no more bytes than the constants that nothing else reads, or at most 4 MiB more, and all
 * folds together at most 64 MiB more. A result that is a graph output is handed to it through an Identity.
 */
export const foldConstants: Pass = {
  name: 'fold-constants',
  run: (graph) => {
    let current = graph
    for (;;) {
      const next = fold(current, growthInAll) ?? fold(current, 0) ?? current
      if (next === current) return E.right(current)
      current = next
    }
  },
}

/** One sweep; undefined where all folds together would add more than `allowance` bytes. 0 refuses each that adds any. */
const fold = (graph: Graph, allowance: number): Graph | undefined => {
  const fresh = freshNames(graph)
  const outputs = new Set<ValueId>(graph.outputs.map((output) => output.name))
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const hints = new Map(graph.hints)
  /** Constants of the graph and all results so far, those that are graph outputs included. */
  const known = new Map<ValueId, Tensor>(graph.constants)
  const nodes: Node[] = []
  let growth = 0
  let changed = false
  for (const node of graph.nodes) {
    const handsOver = isOp(node, Identity) && outputs.has(node.outputs[0] ?? '') && known.has(node.inputs[0] ?? '')
    const planned = handsOver ? undefined : (integers(graph, node) ?? plan(graph, node, known))
    const added = planned !== undefined && planned.growth > negligible ? planned.growth : 0
    const values = added > Math.min(growthPerNode, allowance) ? undefined : planned?.compute()
    if (values === undefined) {
      nodes.push(node)
      continue
    }
    changed = true
    growth += added
    if (growth > allowance) return undefined
    node.outputs.forEach((name, i) => {
      const value = values[i]
      if (value === undefined || name === '' || !isRead(graph, name)) return
      known.set(name, value)
      hints.delete(name)
      const constant = outputs.has(name) ? fresh(`${name}_value`) : name
      constants.set(constant, value)
      if (constant !== name) nodes.push(makeNode(Identity, [constant], [name], {}, node.name))
    })
  }
  return changed ? withParts(graph, { nodes, constants, hints }) : graph
}

/** The constants that a node would become, and the bytes that this would add to the model. */
interface Plan {
  readonly growth: number
  readonly compute: () => ReadonlyArray<Dense> | undefined
}

/** Integers of which every element is known, where nothing reads another output of the node. */
const integers = (graph: Graph, node: Node): Plan | undefined => {
  const [name = '', ...others] = node.outputs
  const content = graph.contents.get(name)
  const type = graph.types.get(name)
  if (content === undefined || type?.kind !== 'tensor' || !content.every(isStatic)) return undefined
  const shape = staticShape(type.shape)
  if (shape === undefined || others.some((other) => other !== '' && isRead(graph, other))) return undefined
  return { growth: 0, compute: () => [tensorOf(type.dtype, shape, content)] }
}

const plan = (graph: Graph, node: Node, known: ReadonlyMap<ValueId, Tensor>): Plan | undefined => {
  if (!node.inputs.every((name) => name === '' || known.has(name))) return undefined
  const inputs = node.inputs.map((name) => known.get(name))
  const ctx = constantContext(graph, node, inputs)
  if (ctx === undefined) return undefined
  let growth = -releasedBytes(graph, node, known)
  for (const type of ctx.outputs) {
    const shape = type.kind === 'tensor' ? staticShape(type.shape) : undefined
    if (type.kind !== 'tensor' || shape === undefined) return undefined
    growth += byteLength(type.dtype, sizeOf(shape))
  }
  const compute = (): ReadonlyArray<Dense> | undefined =>
    opOf(node).evaluate(
      ctx,
      inputs.map((tensor) => tensor && materialize(tensor)),
    )
  return { growth, compute }
}

/** Bytes of the constants that go with the node: those that nothing else reads and those among its attributes. */
const releasedBytes = (graph: Graph, node: Node, known: ReadonlyMap<ValueId, Tensor>): number => {
  let bytes = 0
  for (const name of new Set(node.inputs)) {
    const tensor = known.get(name)
    if (tensor !== undefined && usersOf(graph).get(name)?.length === 1 && !fixedNames(graph).has(name)) {
      bytes += byteLength(tensor.dtype, sizeOf(tensor.shape))
    }
  }
  for (const attribute of encodeAttributes(node).values()) {
    if (attribute.kind === 'tensor') bytes += byteLength(attribute.value.dtype, sizeOf(attribute.value.shape))
  }
  return bytes
}

const isRead = (graph: Graph, name: ValueId): boolean => usersOf(graph).has(name) || fixedNames(graph).has(name)
