import * as E from 'fp-ts/lib/Either.js'
import { firstPad } from '../../ir/families/put-back.ts'
import { type Graph, withParts } from '../../ir/graph.ts'
import type { OpaqueAttributes } from '../../ir/ops/opaque.ts'
import { isOpaque } from '../../ir/registry.ts'
import { analyse, type ChannelFacts } from '../channel-elimination/analyse.ts'
import { elementPrice, leastElementPrice } from '../channel-elimination/price.ts'
import { tooManyChannels } from '../channel-elimination/tracking.ts'
import { type Pass, type PassError, runPipeline, type Step } from '../pass.ts'
import type { Subgraph, Subgraphs } from '../subgraphs.ts'
import { apply } from './apply.ts'
import { type Attempt, cutsOf } from './find.ts'
import { type Cut, isCut, keptBy, lanesOf, type Site } from './lanes.ts'
import { priceAround, priceOf } from './price.ts'

/**
 * Channels of what crosses the edge between a node and its bodies (states that Loop and Scan carry, what they read and make in
 * slices, what a branch makes, what any of them captures) go where they are *constant* or *unneeded*; then the passes take out of the
 * body, and of the model around it, what is left of them.
 *
 * - A channel of a state is constant where it is zero at first and the body, told that it is, makes zero of it again. All that are
 *   zero at first are assumed, and those that are not made again dropped until the rest holds. Other numbers are not followed: what a
 *   step rounds, the next may amplify. Of what is no state any constant will do: as the model knows it in front of the node, as all
 *   bodies know it behind.
 * - A channel is unneeded where nothing behind the node needs it, and in the body nothing that is needed: all that nothing behind
 *   needs are assumed, and those that others need in the body dropped until the rest holds.
 *
 * Both are greatest fixed points, found by the analysis of channel elimination on the body as it would be. Then the node gets a
 * selection; at the head of the body constants are put back, and zeros for what is not needed; what it hands on is selected at its end;
 * behind the node everything is put back. Sizes stay as they were, and so it holds when no step is taken.
 *
 * Guards: float tensors of sizes that are known; what is not needed may not be seen as a zero by what makes no finite number of it: in
 * the body nothing of the zeros may be left, behind the node come operators that are total, or sums over channels. The body, compiled,
 * has to be cheaper than before, with what stays in front of the node and behind it.
 */
export const narrowCarriedState = (
  subgraphs: Subgraphs,
  { steps, planWidths }: { readonly steps: () => ReadonlyArray<Step>; readonly planWidths: boolean },
): Pass => {
  /** What did not pay, by attributes of the node. */
  const refused = new WeakMap<OpaqueAttributes, Set<string>>()
  const work: Work = { subgraphs, steps, perElement: planWidths ? elementPrice : leastElementPrice, refused }
  return {
    name: 'narrow-carried-state',
    run: (graph) => {
      if ((graph.opsets.get('') ?? 0) < firstPad) return E.right(graph)
      let current = graph
      let facts: ChannelFacts | undefined
      for (const node of graph.nodes) {
        if (!isOpaque(node) || node.attrs.defines.length === 0) continue
        const bodies = subgraphs.open(node, current)
        const lanes = bodies && lanesOf(current, node, bodies, subgraphs)
        if (bodies === undefined || lanes === undefined || lanes.length === 0) continue
        if (bodies.some((body) => tooManyChannels(body.graph) !== undefined)) continue
        facts ??= analyse(current)
        const next = narrow({ graph: current, facts, node, bodies, lanes }, work)
        if (E.isLeft(next)) return next
        if (next.right === undefined) continue
        // What is known of the others changes with it.
        current = next.right
        facts = undefined
      }
      return E.right(current)
    },
  }
}

interface Work {
  readonly subgraphs: Subgraphs
  readonly steps: () => ReadonlyArray<Step>
  readonly perElement: number
  readonly refused: WeakMap<OpaqueAttributes, Set<string>>
}

/** The model with one of its nodes narrowed; undefined where nothing goes, or that does not pay. */
const narrow = (site: Site, work: Work): E.Either<PassError, Graph | undefined> => {
  const all = cutsOf(site, { lanes: site.lanes, unneeded: true }).filter(isCut)
  if (all.length === 0) return E.right(undefined)
  const lanes = [...new Set(all.map(({ lane }) => lane))]
  const attempts: ReadonlyArray<Attempt> = [
    { lanes: site.lanes, unneeded: true },
    { lanes: site.lanes, unneeded: false },
    ...(lanes.length === 1 || lanes.length > mostAlone ? [] : lanes.map((lane) => ({ lanes: [lane], unneeded: true }))),
  ]
  const known = work.refused.get(site.node.attrs) ?? new Set()
  work.refused.set(site.node.attrs, known)
  for (const [i, attempt] of attempts.entries()) {
    const cuts = i === 0 ? all : cutsOf(site, attempt).filter(isCut)
    const key = cuts
      .map((cut) => `${site.lanes.indexOf(cut.lane)} ${cut.axis} ${keptBy(cut).join()} ${cut.needed.join('')}`)
      .join(';')
    if (cuts.length === 0 || known.has(key)) continue
    const next = tryCuts(site, cuts, work)
    if (E.isLeft(next) || next.right !== undefined) return next
    known.add(key)
  }
  return E.right(undefined)
}

/** How many lanes are tried by themselves. */
const mostAlone = 8

const tryCuts = (site: Site, cuts: ReadonlyArray<Cut>, work: Work): E.Either<PassError, Graph | undefined> => {
  const { graph, node, bodies } = site
  const { subgraphs, perElement } = work
  const next = apply(site, cuts)
  const compiled: Subgraph[] = []
  for (const body of next.bodies) {
    const made = runPipeline(work.steps(), body.graph)
    if (E.isLeft(made)) return made
    if (next.zeros.some((name) => made.right.types.has(name))) return E.right(undefined)
    compiled.push({ ...body, graph: made.right })
  }
  const times = subgraphs.macs(node, graph, () => 1)
  const price = (all: ReadonlyArray<Subgraph>): number =>
    times * all.reduce((sum, one) => sum + priceOf(one.graph, subgraphs, perElement), 0)
  if (price(compiled) + priceAround(site, cuts) * perElement >= price(bodies)) return E.right(undefined)
  const closed = subgraphs.close(next.node, graph, compiled)
  if (closed === next.node) return E.right(undefined)
  const at = graph.nodes.indexOf(node)
  return E.right(
    withParts(graph, {
      nodes: graph.nodes.toSpliced(at, 1, ...next.front.nodes, closed, ...next.behind.nodes),
      constants: new Map([...graph.constants, ...next.front.constants, ...next.behind.constants]),
      hints: new Map([...graph.hints, ...next.hints]),
    }),
  )
}
