import * as E from 'fp-ts/lib/Either.js'
import { type Graph, withParts } from '../ir/graph.ts'
import type { Node, ValueId } from '../ir/op.ts'
import { isOpaque } from '../ir/registry.ts'
import { uniformValue } from '../ir/slices.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { ValueType } from '../ir/type.ts'
import { handOn } from '../ir/wiring.ts'
import type { Pass } from './pass.ts'
import type { OpaqueNode, Subgraphs } from './subgraphs.ts'

/**
 * An If of which the condition is a constant becomes the branch that it takes: `y = If(true) { then } ` is `then`.
 *
 * Guard: values of the branch whose names are taken get others, but not those that subgraphs of the branch read by name.
 */
export const inlineBranches = (subgraphs: Subgraphs): Pass => ({
  name: 'inline-branches',
  run: (graph) => {
    let current = graph
    for (;;) {
      const next = inlineAll(current, subgraphs)
      if (next === current) return E.right(current)
      current = next
    }
  },
})

/** All branches that are always taken, but not those within them. */
const inlineAll = (graph: Graph, subgraphs: Subgraphs): Graph => {
  const branches = new Map<Node, Graph>()
  for (const node of graph.nodes) {
    const branch = isOpaque(node) ? branchOf(graph, node, subgraphs) : undefined
    if (branch !== undefined) branches.set(node, branch)
  }
  while (branches.size > 0) {
    const parts: Parts = {
      constants: new Map(graph.constants),
      hints: new Map(graph.hints),
      taken: namesBeside(graph, branches),
    }
    const bodies = new Map([...branches].map(([node, branch]) => [node, bodyOf(graph, node, branch, parts)]))
    const kept = [...branches.keys()].filter((node) => bodies.get(node) === undefined)
    const { constants, hints } = parts
    const nodes = graph.nodes.flatMap((node) => bodies.get(node) ?? [node])
    if (kept.length === 0) return withParts(graph, { nodes, constants, hints })
    // Their names are taken as well.
    for (const node of kept) branches.delete(node)
  }
  return graph
}

/** The names of the model, and those that are defined in bodies: of nodes that stay, and within branches that do not. */
const namesBeside = (graph: Graph, branches: ReadonlyMap<Node, Graph>): Set<ValueId> => {
  const names = new Set([...graph.types.keys(), ...graph.preserved.uses])
  for (const node of graph.nodes)
    for (const one of branches.get(node)?.nodes ?? [node])
      if (isOpaque(one)) for (const name of one.attrs.defines) names.add(name)
  return names
}

/** What the model gets from branches. */
interface Parts {
  readonly constants: Map<ValueId, Tensor>
  readonly hints: Map<ValueId, ValueType>
  /** Names that are not free any more. */
  readonly taken: Set<ValueId>
}

/** The branch that an If always takes. */
const branchOf = (graph: Graph, node: OpaqueNode, subgraphs: Subgraphs): Graph | undefined => {
  const condition = graph.constants.get(node.inputs[0] ?? '')
  if (node.attrs.opType !== 'If' || node.attrs.domain !== '' || condition === undefined) return undefined
  const value = uniformValue(condition)
  const attribute = value === 0 ? 'else_branch' : 'then_branch'
  return value === undefined ? undefined : subgraphs.open(node, graph)?.find(({ name }) => name === attribute)?.graph
}

const bodyOf = (graph: Graph, node: Node, branch: Graph, parts: Parts): ReadonlyArray<Node> | undefined => {
  if (branch.outputs.length !== node.outputs.length) return undefined
  const own = [...branch.constants].filter(([name, tensor]) => graph.constants.get(name) !== tensor)
  const defined = [...branch.nodes.flatMap(({ outputs }) => outputs), ...own.map(([name]) => name)]
  const isRead = new Set(branch.nodes.flatMap((one) => (isOpaque(one) ? one.attrs.captures : [])))
  if (defined.some((name) => isRead.has(name) && parts.taken.has(name))) return undefined
  const renamed = new Map<ValueId, ValueId>()
  for (const name of defined) {
    if (name === '') continue
    let free = name
    for (let i = 1; parts.taken.has(free); i++) free = `${name}_${i}`
    parts.taken.add(free)
    renamed.set(name, free)
  }
  const nameOf = (name: ValueId): ValueId => renamed.get(name) ?? name
  for (const [name, tensor] of own) parts.constants.set(nameOf(name), tensor)
  for (const [name, type] of branch.hints) if (renamed.has(name)) parts.hints.set(nameOf(name), type)
  const body = branch.nodes.map((one): Node => ({
    ...one,
    inputs: one.inputs.map(nameOf),
    outputs: one.outputs.map(nameOf),
  }))
  const results = branch.outputs.flatMap(({ name }, i) => {
    const output = node.outputs[i] ?? ''
    return output === '' ? [] : [handOn(nameOf(name), output)]
  })
  return [...body, ...results]
}
