/**
 * Channel elimination: analyse, relate, decide, shrink. Each phase is pure and none names an operator.
 */
import * as E from 'fp-ts/lib/Either.js'
import { graphTime } from '../../cost/graph-time.ts'
import type { CostTable } from '../../cost/table.ts'
import type { Graph } from '../../ir/graph.ts'
import type { Pass } from '../pass.ts'
import { costsOf, type Target } from '../target.ts'
import { analyse, type ChannelFacts, type Endangered } from './analyse.ts'
import { insertCuts } from './cuts.ts'
import { decide, type Decision, type Widths } from './decide.ts'
import { relate } from './relate.ts'
import { endangeredBy } from './remains.ts'
import { shrink } from './shrink.ts'
import { gatherNormalisations } from './written-out.ts'

export type { ChannelFacts } from './analyse.ts'
export type { Decision } from './decide.ts'
export type { Reason } from './relate.ts'

/** What channel elimination found and did, for reports. */
export interface Elimination {
  readonly before: Graph
  readonly after: Graph
  readonly facts: ChannelFacts
  readonly decision: Decision
}

export interface EliminationOptions {
  readonly target: Target
  /** What work takes there, where that was measured; absent: the table that is committed for it. */
  readonly costs?: CostTable | undefined
  /** Whether dead channels stay where the target runs the rounded width faster; the default. */
  readonly planWidths?: boolean
  /** Whether a layer may select channels in front of it that others need and it does not; the default. */
  readonly cutTies?: boolean
  /** Is told of every run, changed or not. */
  readonly observe?: (elimination: Elimination) => void
}

/** What goes of a graph in which normalisations that are written out are one node each, and what is known of its channels. */
export const decideChannels = (
  graph: Graph,
  options: EliminationOptions,
  known: ChannelFacts = analyse(graph),
  widths: Widths = usualWidths(options),
): Pick<Elimination, 'facts' | 'decision'> => {
  const alive: Endangered[] = []
  for (let facts = known; ; facts = analyse(graph, alive)) {
    const classes = relate(graph, facts)
    const decision = decide(graph, facts, classes, { ...options, widths })
    const endangered = decision.changes ? endangeredBy(graph, facts, decision) : []
    if (endangered.length === 0) return { facts, decision }
    alive.push(...endangered)
  }
}

const usualWidths = ({ planWidths }: EliminationOptions): Widths => (planWidths === false ? 'raw' : 'rounded')

/** How much of the time may be left where joined images fill blocks: what stays for it takes memory. */
const worthFilling = 0.99

/** Removes every channel that the graph computes for nothing, but for those that make it faster. The result computes the same function. */
export const eliminateChannels = (given: Graph, options: EliminationOptions): Elimination => {
  const { graph: whole, writeOut } = gatherNormalisations(given)
  const known = analyse(whole)
  const cut = options.cutTies === false ? undefined : insertCuts(whole, known)
  const { graph, drop } = cut ?? { graph: whole, drop: (shrunk: Graph): Graph => shrunk }
  const facts = cut === undefined ? known : analyse(graph)
  const eliminated = (widths: Widths): Elimination => {
    const decided = decideChannels(graph, options, facts, widths)
    const shrunk = shrink(graph, decided.facts, decided.decision)
    return { before: graph, after: shrunk === graph ? given : writeOut(drop(shrunk)), ...decided }
  }
  const usual = eliminated(usualWidths(options))
  const costs = costsOf(options.target, options.costs)
  if (costs === undefined || !usual.decision.isUneven) return usual
  const timeOf = ({ after }: Elimination): number => graphTime(after, costs) ?? Infinity
  if (timeOf(usual) === Infinity) return usual
  // What is best for each layer need not be so for all: tensors that are joined are in blocks only where every part fills its own.
  const [raw, filled] = [eliminated('raw'), eliminated('filled')]
  const narrow = timeOf(raw) < timeOf(usual) ? raw : usual
  return timeOf(filled) < worthFilling * timeOf(narrow) ? filled : narrow
}

/** The pass. */
export const channelElimination = (options: EliminationOptions): Pass => ({
  name: 'channel-elimination',
  run: (graph) => {
    const elimination = eliminateChannels(graph, options)
    options.observe?.(elimination)
    return E.right(elimination.after)
  },
})
