/**
 * Which classes go. A class can go when every member is dead or constant and none is pinned. From that largest set,
 * classes are put back until the result is exact and well-formed: groups of equal size, a carrier for constants that meet
 * padding, no operator without channels, widths that the target runs fast. Only ever putting back, it ends.
 */
import type { CostTable } from '../../cost/table.ts'
import { producersOf } from '../../ir/analysis.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import type { Node, ValueId } from '../../ir/op.ts'
import { costsOf, type Target } from '../target.ts'
import type { ChannelFacts } from './analyse.ts'
import { type Draft, startDraft } from './draft.ts'
import { inWords } from './needed-by.ts'
import { leastGain, priceOf } from './price.ts'
import type { Classes, Reason } from './relate.ts'
import { fillingOf, joinedBy, roundingsOf, rules } from './rules.ts'
import { axesOf, type NodeView, viewsOf } from './views.ts'

export interface Decision {
  /** Indices kept along an axis, ascending; undefined when all are. */
  readonly kept: (value: ValueId, axis: number) => Int32Array | undefined
  /** Whether some axis of the value has lost every index. */
  readonly vanished: (value: ValueId) => boolean
  /** Whether what constants add at padding is added behind a contraction, position by position. */
  readonly isBordered: (node: Node) => boolean
  /** Why a channel that is dead or constant stays; undefined for channels that go. */
  readonly reason: (value: ValueId, axis: number, index: number) => Reason | undefined
  /** Whether any class goes. */
  readonly changes: boolean
  /** Whether images are put together whose channels could fill blocks that the target computes, and do not. */
  readonly isUneven: boolean
}

/**
 * `raw`: whatever saves a multiplication goes, and nothing is gathered for it. `rounded`: dead channels stay where the target runs a
 * layer faster with them. `filled`: also where images that are put together fill the blocks of the target, whatever that takes.
 */
export type Widths = 'raw' | 'rounded' | 'filled'

/** What the making of a decision is told besides the graph. */
export interface DecisionOptions {
  readonly target: Target
  /** What work takes there, where that was measured; absent: the table that is committed for it. */
  readonly costs?: CostTable | undefined
  readonly widths: Widths
}

export const decide = (graph: Graph, facts: ChannelFacts, classes: Classes, options: DecisionOptions): Decision => {
  const target = options.widths === 'raw' ? undefined : options.target
  const fills = options.widths === 'filled'
  const views = viewsOf(graph)
  const worklist = makeWorklist(views)
  const settleAll = (): void => settle(views, worklist, draft, rules.length)
  const draft: Draft = startDraft(
    graph,
    facts,
    classes,
    target,
    costsOf(target, options.costs),
    worklist.add,
    settleAll,
  )
  for (const rule of rules.keys()) settle(views, worklist, draft, rule + 1)
  if (fills) fillJoins(views, draft, settleAll)
  economise(views, draft, target)
  if (fills) fillJoins(views, draft, settleAll)
  return {
    kept: (value, axis) => {
      const marks = graph.constants.has(value) ? undefined : draft.kept(value, axis)
      return marks?.includes(0) === true ? Int32Array.from(marks.keys()).filter((i) => marks[i] === 1) : undefined
    },
    vanished: draft.vanished,
    isBordered: (node) => draft.detours.border.has(node),
    reason: (value, axis, index) => {
      const at = draft.classAt(value, axis, index)
      if (at !== undefined) {
        const reason = draft.reasonOf(at)
        return reason && inWords(graph, facts, reason, value)
      }
      const maker = producersOf(graph).get(value)
      const by = maker === undefined ? '' : `, which ${labelOf(maker)} makes`
      const text = `belongs to ${value}${by}, whose shape is not known`
      return axesOf(graph, value)[axis] === undefined
        ? { kind: 'opaque', at: value, text }
        : (classes.pinned(value, axis) ?? {
            kind: 'mixed',
            at: value,
            text: `lies where no channel of ${value}${by} can go`,
          })
    },
    changes: draft.count() > 0,
    isUneven: unfilled(views, draft).length > 0,
  }
}

/** Parts of images that are put together, with the classes that would fill their blocks. */
const unfilled = (views: ReadonlyArray<NodeView>, draft: Draft): ReadonlyArray<Filling> => {
  const { cost } = draft
  if (cost === undefined) return []
  return views
    .filter(({ node }) => !node.outputs.every(draft.vanished))
    .flatMap((view) => joinedBy(view).map((part) => ({ view, classes: fillingOf(part, draft, cost.block) })))
    .filter(({ classes }) => classes.length > 0)
}

interface Filling {
  readonly view: NodeView
  readonly classes: ReadonlyArray<number>
}

/** Puts channels back until images that are put together fill blocks. */
const fillJoins = (views: ReadonlyArray<NodeView>, draft: Draft, settleAll: () => void): void => {
  for (let found = unfilled(views, draft); found.length > 0; found = unfilled(views, draft)) {
    for (const { view, classes } of found) {
      const label = labelOf(view.node)
      const text = `fills the blocks of channels in which the ${draft.target} runs ${label} faster`
      for (const at of classes) draft.putClass(at, { kind: 'width', at: label, text })
    }
    settleAll()
  }
}

/** In the order in which they are given up where something else is cheaper. */
const detoursTaken = ['restoration', 'selection', 'border', 'gatherInput', 'gatherOutput', 'padding'] as const

/**
 * Puts channels back where that is cheaper than doing without them, everything that follows from it counted: carriers
 * instead of borders, equal groups instead of gathering, all channels instead of putting back, widths that the target is fast at.
 */
const economise = (views: ReadonlyArray<NodeView>, draft: Draft, target: Target | undefined): void => {
  const byNode = new Map(views.map((view) => [view.node, view]))
  const cost =
    (isFinal: boolean) =>
    (nodes: ReadonlySet<Node>): number => {
      let sum = 0
      for (const node of nodes) {
        const view = byNode.get(node)
        if (view !== undefined) sum += priceOf(view, draft, isFinal)
      }
      return sum
    }
  // Channels that come back for one detour may take away what another one was for.
  const straighten = (isFinal: boolean): void => {
    attemptAll(draft, cost(isFinal), function* () {
      for (const [place, view] of views.entries()) {
        for (const detour of detoursTaken) {
          if (!draft.detours[detour].has(view.node)) continue
          yield { key: `${detour} ${place}`, change: () => draft.straighten(detour, view), gain: 0 }
        }
      }
    })
  }
  straighten(false)
  if (target === undefined) return
  // One width rounded may make another odd or even. What did not pay does not pay for another reader of the same channels either.
  attemptAll(draft, cost(true), function* () {
    for (const view of views) {
      const before = draft.count()
      for (const { classes, reason } of roundingsOf(view, draft, target)) {
        const change = (): void => {
          for (const at of classes) draft.putClass(at, reason)
        }
        yield { key: classes.join(' '), change, gain: leastGain(view, draft) }
        if (draft.count() !== before) break
      }
    }
  })
  // So may those that come back for a width: what is left of a detour can be less than it takes.
  straighten(true)
}

interface Attempt {
  /** Equal where the change is. */
  readonly key: string
  readonly change: () => void
  /** What it has to save. */
  readonly gain: number
}

/**
 * Makes all attempts that pay, and again until none does. What did not pay is tried again only where something was put back around
 * the nodes that it touches.
 */
const attemptAll = (
  draft: Draft,
  cost: (nodes: ReadonlySet<Node>) => number,
  attempts: () => Iterable<Attempt>,
): void => {
  const refused = new Set<string>()
  const refusedAt = new Map<Node, string[]>()
  for (let changed = true; changed;) {
    changed = false
    for (const { key, change, gain } of attempts()) {
      if (refused.has(key)) continue
      const { isDone, nodes } = draft.attempt(change, cost, gain)
      if (isDone) changed = true
      else refused.add(key)
      for (const node of nodes) {
        if (isDone) {
          for (const other of refusedAt.get(node) ?? []) refused.delete(other)
          refusedAt.delete(node)
        } else {
          const others = refusedAt.get(node) ?? []
          others.push(key)
          refusedAt.set(node, others)
        }
      }
    }
  }
}

/** For each rule the nodes that it has to look at: at first all, then those around what was put back. */
interface Worklist {
  readonly add: (node: Node) => void
  /** Takes the first node of a rule at or after a place; -1 when there is none. */
  readonly take: (rule: number, from: number) => number
}

const makeWorklist = (views: ReadonlyArray<NodeView>): Worklist => {
  const places = new Map(views.map(({ node }, at) => [node, at]))
  const waiting = rules.map(() => waitingPlaces(views.length))
  return {
    add: (node) => {
      const at = places.get(node)
      if (at !== undefined) for (const one of waiting) one.add(at)
    },
    take: (rule, from) => waiting[rule]?.take(from) ?? -1,
  }
}

interface WaitingPlaces {
  readonly add: (at: number) => void
  readonly take: (from: number) => number
}

/** Places of a list, at first all. What is looked for after a small change is found without a walk through the whole list. */
const waitingPlaces = (length: number): WaitingPlaces => {
  const marks = new Uint8Array(length).fill(1)
  let count = length
  /** No place before this one waits. */
  let first = 0
  return {
    add: (at) => {
      if (marks[at] === 0) count += 1
      marks[at] = 1
      first = Math.min(first, at)
    },
    take: (from) => {
      const at = count === 0 ? -1 : marks.indexOf(1, Math.max(from, first))
      if (at < 0) return -1
      marks[at] = 0
      count -= 1
      if (from <= first) first = at + 1
      return at
    },
  }
}

/** Applies the first `count` rules to the nodes in order, one rule after another, until none has a node to look at. */
const settle = (views: ReadonlyArray<NodeView>, worklist: Worklist, draft: Draft, count: number): void => {
  for (let busy = true; busy;) {
    busy = false
    for (const [index, rule] of rules.slice(0, count).entries()) {
      for (let at = worklist.take(index, 0); at >= 0; at = worklist.take(index, at + 1)) {
        const view = views[at]
        if (view !== undefined) rule(view, draft)
        busy = true
      }
    }
  }
}
