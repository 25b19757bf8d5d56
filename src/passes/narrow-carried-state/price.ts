/** What a node with bodies costs, and what is moved around it. */
import { producersOf, usersOf } from '../../ir/analysis.ts'
import { contextOf, type Graph } from '../../ir/graph.ts'
import { countOf, shapeOf } from '../../ir/links.ts'
import { isOpaque, opOf } from '../../ir/registry.ts'
import type { Subgraphs } from '../subgraphs.ts'
import { type Cut, keptBy, type Site } from './lanes.ts'

/**
 * Numbers that are moved in front of a node and behind it besides: in front the selection, unless what makes them makes no more than
 * that, or they are constants; behind what is restored of a result of the model.
 */
export const priceAround = ({ graph }: Site, cuts: ReadonlyArray<Cut>): number => {
  const fixed = new Set(graph.outputs.map(({ name }) => name))
  let moved = 0
  for (const lane of new Set(cuts.map((cut) => cut.lane))) {
    const share = cuts.reduce(
      (all, cut) => (cut.lane === lane ? (all * keptBy(cut).length) / cut.needed.length : all),
      1,
    )
    const { read, made } = lane
    if (read !== undefined && !graph.constants.has(read.outer)) {
      const whole = countOf(shapeOf(graph.types.get(read.outer)))
      const isMadeForIt = producersOf(graph).has(read.outer) && usersOf(graph).get(read.outer)?.length === 1
      moved += isMadeForIt ? share * whole - whole : share * whole
    }
    if (made !== undefined && fixed.has(made.outer)) moved += 2 * countOf(shapeOf(graph.types.get(made.outer)))
  }
  return moved
}

/** What a step takes: multiply-accumulates, and numbers that are made in other ways. */
export const priceOf = (graph: Graph, subgraphs: Subgraphs, perElement: number): number =>
  graph.nodes.reduce((sum, node) => {
    const elements = node.outputs.reduce((count, name) => count + countOf(shapeOf(graph.types.get(name))), 0)
    if (isOpaque(node))
      return sum + elements * perElement + subgraphs.macs(node, graph, (inner) => priceOf(inner, subgraphs, perElement))
    const macs = opOf(node).macs?.(contextOf(graph, node)) ?? 0
    return sum + (macs > 0 ? macs : elements * perElement)
  }, 0)
