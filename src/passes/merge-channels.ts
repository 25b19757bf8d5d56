import * as E from 'fp-ts/lib/Either.js'
import { mergeInputs, type Merged } from '../ir/families/weight-sums.ts'
import { type Graph, labelOf, withParts } from '../ir/graph.ts'
import type { Node } from '../ir/op.ts'
import { analyse } from './channel-elimination/analyse.ts'
import { decideChannels, type EliminationOptions } from './channel-elimination/index.ts'
import { gatherNormalisations } from './channel-elimination/written-out.ts'
import { type NodeView, viewsOf } from './channel-elimination/views.ts'
import { equalChannels } from './equal-channels.ts'
import type { Pass } from './pass.ts'
import { namesFor, namingOf } from './rewrite.ts'

/** What a contraction is to read of one channel instead of several equal ones. */
interface Move extends Merged {
  readonly view: NodeView
}

/**
 * Has contractions read one of several equal channels, so that nothing reads the others and channel elimination takes them
 * out: `W[o,i] x_i + W[o,j] x_j = (W[o,i] + W[o,j]) x_i` where `x_i = x_j` (`equal-channels.ts`).
 *
 * Guards: the channel that takes over is in the same group and is needed anyway; the ones that it stands for do go then, which
 * is found by deciding it: where something else needs them, or a group or a width keeps them, their weights stay where they
 * are; no input of the model may leave them constant, that is paid for otherwise; the numbers are admissible
 * (`ir/numerics.ts`): sums of weights are finite, lose no digits and do not cancel.
 */
export const mergeChannels = (options: EliminationOptions): Pass => {
  /** Of graphs that the pass has left as they are. */
  const known = new WeakMap<Graph, Refusals>()
  return {
    name: 'merge-channels',
    run: (graph) => E.right(merge(graph, options, (refused) => void known.set(graph, refused))),
    refusals: (graph) => known.get(graph) ?? applyMoves(graph, movesOf(graph)).refused,
  }
}

type Refusals = ReadonlyArray<{ readonly node: string; readonly reason: string }>

/** `unchanged` is told what was refused where nothing is merged. */
const merge = (graph: Graph, options: EliminationOptions, unchanged: (refused: Refusals) => void): Graph => {
  let moves = movesOf(graph)
  for (let isFirst = true; ; isFirst = false) {
    const next = applyMoves(graph, moves)
    if (next.applied.length === 0) {
      if (isFirst) unchanged(next.refused)
      return graph
    }
    const { decision } = decideChannels(gatherNormalisations(next.graph).graph, options)
    moves = next.applied.flatMap((move) => {
      const { node, contraction: c } = move.view
      const kept = new Set(decision.kept(node.inputs[c?.port ?? -1] ?? '', c?.axis ?? -1) ?? move.from)
      const from = move.from.filter((i) => !kept.has(i))
      return from.length === 0 ? [] : [{ ...move, from }]
    })
    const count = (some: ReadonlyArray<Move>): number => some.reduce((n, { from }) => n + from.length, 0)
    if (count(moves) === count(next.applied)) return next.graph
  }
}

/** Everything that could be read of another channel. */
const movesOf = (graph: Graph): ReadonlyArray<Move> => {
  const equal = equalChannels(graph)
  const some = viewsOf(graph).flatMap((view) => {
    const { node, contraction: c, reads } = view
    const value = node.inputs[c?.port ?? -1] ?? ''
    const firsts = c && equal(value, c.axis)
    // Numbers that hold a weight as something smaller are not those of a sum.
    if (reads?.weight.tag === 'Held' || c === undefined || reads === undefined || firsts === undefined) return []
    return [{ view, value, c, reads, firsts }]
  })
  if (some.length === 0) return []
  const facts = analyse(graph)
  return some.flatMap(({ view, value, c, reads, firsts }) => {
    const needed = facts.needed(view.node)
    const live = facts.live(value, c.axis)
    const byClass = new Map<string, number[]>()
    for (const [i, first] of firsts.entries()) {
      if (live?.[i] !== 1 || facts.isGiven(value, c.axis, i)) continue
      const key = `${first} ${Math.floor(i / reads.inputsPerGroup)}`
      const known = byClass.get(key)
      if (known === undefined) byClass.set(key, [i])
      else known.push(i)
    }
    return [...byClass.values()].flatMap(([to = 0, ...others]) => {
      const from = others.filter((i) => needed?.[i] === 1)
      return from.length === 0 ? [] : [{ view, to, from }]
    })
  })
}

interface Applied {
  readonly graph: Graph
  readonly applied: ReadonlyArray<Move>
  readonly refused: Refusals
}

/** The graph with all moves that are admissible, which these are, and why others are not. */
const applyMoves = (graph: Graph, moves: ReadonlyArray<Move>): Applied => {
  const byNode = new Map<Node, Move[]>()
  for (const move of moves) byNode.set(move.view.node, [...(byNode.get(move.view.node) ?? []), move])
  const names = namesFor(graph)
  const constants = new Map(graph.constants)
  const applied: Move[] = []
  const refused: Array<Refusals[number]> = []
  const nodes = graph.nodes.flatMap((node) => {
    let left = byNode.get(node) ?? []
    const [first] = left
    const { contraction: c, reads } = first?.view ?? {}
    if (c === undefined || reads === undefined) return [node]
    let merged = mergeInputs(reads, left)
    while (E.isLeft(merged)) {
      const why = merged.left
      for (const { to } of left) if (to === why.to) refused.push({ node: labelOf(node), reason: why.reason })
      left = left.filter(({ to }) => to !== why.to)
      if (left.length === 0) return [node]
      merged = mergeInputs(reads, left)
    }
    const rebuilt = c.rebuild({ node, weight: merged.right, groups: c.groups }, namingOf(node, names))
    if (E.isLeft(rebuilt)) return [node]
    for (const [name, tensor] of rebuilt.right.constants) constants.set(name, tensor)
    applied.push(...left)
    return rebuilt.right.nodes
  })
  return { graph: applied.length === 0 ? graph : withParts(graph, { nodes, constants }), applied, refused }
}
