/** The driver of local rewrites: rules look at one node and its neighbours, this walks the graph. */
import * as E from 'fp-ts/lib/Either.js'
import { fixedNames, forget, freshNames, usersOf } from '../ir/analysis.ts'
import { failure, invariant } from '../ir/failure.ts'
import { type Graph, labelOf, withParts } from '../ir/graph.ts'
import type { Refusal } from '../ir/numerics.ts'
import type { Naming, Node, Rewrite, ValueId } from '../ir/op.ts'
import { isOfOpset } from '../ir/registry.ts'
import type { Tensor } from '../ir/tensor.ts'
import type { ValueType } from '../ir/type.ts'
import type { Pass, PassError } from './pass.ts'

/** New nodes in place of old ones. */
export interface Patch extends Rewrite {
  /** Nodes that go. The new ones come where the last of them was; only that one's outputs have other readers. */
  readonly removes: ReadonlyArray<Node>
}

/** Names for what a rule makes. */
export interface Names {
  /** A value name that nothing else has. */
  readonly fresh: (hint: string) => ValueId
  /** The name for what replaces the constant `name` for one reader: its own where nothing reads it twice, else a new one. */
  readonly replacing: (name: ValueId) => ValueId
}

/** What a rule would do but must not, and why. */
export interface Refused {
  readonly node: Node
  readonly refused: Refusal
}

export const refuse = (node: Node, refused: Refusal): Refused => ({ node, refused })

export type Found = Patch | Refused | undefined

/** What to do at `node`; undefined where the rule does not apply. */
export type Rule = (graph: Graph, node: Node, names: Names) => Found

/** Names for the operands of `node`, which is rebuilt. */
export const namingOf = (node: Node, names: Names): Naming => ({
  fresh: names.fresh,
  rename: (port, hint) => (node.inputs[port] ? names.replacing(node.inputs[port]) : names.fresh(hint)),
})

/** The most sweeps over a graph; each must change something. */
const budget = 1000

/** A pass that applies the first of `rules` that fits, at every node, until none fits anywhere. */
export const rewritePass = (name: string, rules: ReadonlyArray<Rule>): Pass => {
  /** Of graphs that the pass has left as they are. */
  const known = new WeakMap<Graph, ReadonlyArray<Refused>>()
  return {
    name,
    refusals: (graph) =>
      (known.get(graph) ?? refusedBy(rules, graph)).map(({ node, refused }) => ({
        node: labelOf(node),
        reason: refused,
      })),
    run: (graph): E.Either<PassError, Graph> => {
      let current = graph
      for (let i = 0; i < budget; i++) {
        const { next, refused } = sweep(current, rules)
        if (next === current) {
          known.set(current, refused)
          return E.right(current)
        }
        // The pipeline forgets the graph that the pass was given.
        if (current !== graph) forget(current)
        current = next
      }
      return E.left(
        failure(
          'DidNotConverge',
          `pass ${name}`,
          `no change within ${budget} sweeps`,
          `a graph of ${current.nodes.length} nodes that still changes`,
          'Two rewrites undo each other: please report this model.',
        ),
      )
    },
  }
}

/** What `rules` refuse at any node. */
const refusedBy = (rules: ReadonlyArray<Rule>, graph: Graph): ReadonlyArray<Refused> => {
  const names = namesFor(graph)
  return graph.nodes.flatMap((node) =>
    rules.flatMap((rule) => {
      const found = rule(graph, node, names)
      return found !== undefined && 'refused' in found ? [found] : []
    }),
  )
}

/** Names for what is made of `graph`. */
export const namesFor = (graph: Graph): Names => {
  const fresh = freshNames(graph)
  return {
    fresh,
    replacing: (name) => {
      const reads = (usersOf(graph).get(name) ?? []).flatMap((node) => node.inputs.filter((input) => input === name))
      return reads.length === 1 && !fixedNames(graph).has(name) ? name : fresh(`${name}_folded`)
    },
  }
}

/**
 * Every rule once at every node that no earlier patch of this sweep has touched. What the model's opset has no operator for is
 * left as it is. `refused` is all that is refused where nothing changes.
 */
const sweep = (
  graph: Graph,
  rules: ReadonlyArray<Rule>,
): { readonly next: Graph; readonly refused: ReadonlyArray<Refused> } => {
  const names = namesFor(graph)
  const patches = new Map<Node, Patch>()
  const refused: Refused[] = []
  for (const node of graph.nodes) {
    if (patches.has(node)) continue
    for (const rule of rules) {
      const found = rule(graph, node, names)
      if (found === undefined) continue
      if ('refused' in found) {
        refused.push(found)
        continue
      }
      if (found.removes.some((removed) => patches.has(removed))) continue
      if (!found.nodes.every((made) => isOfOpset(made, graph.opsets))) continue
      for (const removed of found.removes) patches.set(removed, found)
      break
    }
  }
  return { next: patches.size === 0 ? graph : apply(graph, patches), refused }
}

const apply = (graph: Graph, patches: ReadonlyMap<Node, Patch>): Graph => {
  const constants = new Map<ValueId, Tensor>(graph.constants)
  const hints = new Map(graph.hints)
  const waiting = new Map<Patch, number>()
  const nodes: Node[] = []
  for (const node of graph.nodes) {
    const patch = patches.get(node)
    if (patch === undefined) {
      nodes.push(node)
      continue
    }
    const seen = (waiting.get(patch) ?? 0) + 1
    waiting.set(patch, seen)
    if (seen < patch.removes.length) continue
    nodes.push(...patch.nodes)
    for (const [name, tensor] of patch.constants) constants.set(name, tensor)
    keepTypes(graph, patch, hints)
  }
  for (const [patch, seen] of waiting) {
    invariant(seen === patch.removes.length, 'a rewrite removes a node that is not in the graph')
  }
  return withParts(graph, { nodes, constants, hints })
}

/** What was declared of removed values is declared of those that stay, so that no type gets vaguer. */
const keepTypes = (graph: Graph, patch: Patch, hints: Map<ValueId, ValueType>): void => {
  const before = patch.removes.flatMap((node) => node.outputs)
  const after = new Set(patch.nodes.flatMap((node) => node.outputs))
  if (!before.some((name) => hints.has(name))) return
  for (const name of before) {
    const type = graph.types.get(name)
    if (!after.has(name) || type === undefined) hints.delete(name)
    else hints.set(name, type)
  }
}
