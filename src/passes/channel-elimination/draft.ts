/**
 * A decision while it is being made: which classes of channels go at the moment. Classes are only ever put back, each at
 * most once but for attempts that are undone, so that whatever puts them back ends.
 */
import { producersOf, usersOf } from '../../ir/analysis.ts'
import { byteLength } from '../../ir/dtype.ts'
import { type Graph, labelOf } from '../../ir/graph.ts'
import { countOf } from '../../ir/links.ts'
import type { Contraction, Node, NodeContext, ValueId } from '../../ir/op.ts'
import { growthInAll, growthPerValue } from '../growth.ts'
import { graphTime, leastTime } from '../../cost/graph-time.ts'
import { type CostTable, leastTimeOf } from '../../cost/table.ts'
import type { Target } from '../target.ts'
import type { ChannelFacts } from './analyse.ts'
import type { Classes, Reason } from './relate.ts'
import type { Joint } from './joints.ts'
import { axesOf, jointOf, type NodeView, ownAxesOf, viewsOf } from './views.ts'

/** A class that goes, with how many channels of the axis asked about are in it. */
export interface Candidate {
  readonly at: number
  readonly channels: number
}

export interface Draft {
  readonly graph: Graph
  readonly facts: ChannelFacts
  /** Undefined when widths are not rounded up. */
  readonly target: Target | undefined
  /** What work takes on the target, where that was measured. */
  readonly cost: CostTable | undefined
  /** Nanoseconds of a node that reorders what a convolution made, besides those that grow; 0 in short runs, where small is better. */
  readonly reordering: number
  /** Whether a channel goes; never where channels are not told apart, nor of a constant. */
  readonly goes: (value: ValueId, axis: number, index: number) => boolean
  /** Along an axis 1 for each channel that stays; undefined where channels are not told apart, and all stay. */
  readonly kept: (value: ValueId, axis: number) => Uint8Array | undefined
  /** Whether some axis of the value has lost every index. */
  readonly vanished: (value: ValueId) => boolean
  /** The classes that go along an axis, those with fewest members first. */
  readonly candidates: (value: ValueId, axis: number) => ReadonlyArray<Candidate>
  /** Puts the class of a channel back, if it goes. */
  readonly putChannel: (value: ValueId, axis: number, index: number, reason: Reason) => void
  readonly putClass: (at: number, reason: Reason) => void
  /** Why a class was put back; undefined for one that goes. */
  readonly reasonOf: (at: number) => Reason | undefined
  /** The class of a channel; undefined where channels are not told apart, and of a constant. */
  readonly classAt: (value: ValueId, axis: number, index: number) => number | undefined
  /** Number of classes that go. */
  readonly count: () => number
  readonly detours: Detours
  /** Takes a node off a detour. */
  readonly straighten: (detour: keyof Detours, view: NodeView) => void
  /**
   * Does what `change` does and what follows from it, where the nodes that it touches cost less for it by `leastGain` or more.
   * Whether it does depends on nothing but what goes around these nodes.
   */
  readonly attempt: (
    change: () => void,
    cost: (nodes: ReadonlySet<Node>) => number,
    leastGain?: number,
  ) => { readonly isDone: boolean; readonly nodes: ReadonlySet<Node> }
}

/** Nodes around which something is done instead of putting channels back. */
export interface Detours {
  /** What given channels add differently at each position is added behind them. */
  readonly border: ReadonlySet<Node>
  /** Channels that do not fall into groups of one size are gathered in front of them, or behind them. */
  readonly gatherInput: ReadonlySet<Node>
  readonly gatherOutput: ReadonlySet<Node>
  /** Cuts that leave out what others need, and those that put constants back. */
  readonly selection: ReadonlySet<Node>
  readonly restoration: ReadonlySet<Node>
  /** Operators in front of which constants are put back that count in their statistics, results dropped behind them. */
  readonly padding: ReadonlySet<Node>
}

type Change =
  | { readonly kind: 'class'; readonly at: number; readonly reason: Reason }
  | { readonly kind: 'detour'; readonly of: keyof Detours; readonly node: Node }

/** Everything goes that is not pinned, and not both live and not given. `touched` hears of the nodes around what comes back. */
export const startDraft = (
  graph: Graph,
  facts: ChannelFacts,
  classes: Classes,
  target: Target | undefined,
  cost: CostTable | undefined,
  touched: (node: Node) => void,
  settle: () => void,
): Draft => {
  const { classOf, covers } = classes
  const removed = new Uint8Array(classes.count).fill(1)
  const reasons = new Map<number, Reason>()
  let going = classes.count
  const members = membersOf(classes)
  const [producers, users] = [producersOf(graph), usersOf(graph)]

  /** What has been done since an attempt began; undefined outside of one. */
  let journal: Change[] | undefined
  const detours = {
    border: new Set<Node>(),
    gatherInput: new Set<Node>(),
    gatherOutput: new Set<Node>(),
    selection: new Set<Node>(),
    restoration: new Set<Node>(),
    padding: new Set<Node>(),
  }
  let growth = 0
  for (const view of viewsOf(graph)) {
    const { node, ctx, contraction: c, statistics } = view
    const selecting = view.selection
    if (selecting?.isWhole === true) {
      detours.selection.add(node)
      if (selecting.restores) detours.restoration.add(node)
    }
    if (statistics.some(({ isPadded }) => isPadded)) detours.padding.add(node)
    if (c?.contract !== undefined && target !== undefined && mayOweBorder(facts, node.inputs[c.port] ?? '', c)) {
      const size = borderBytes(ctx)
      if (size <= growthPerValue && growth + size <= growthInAll) {
        detours.border.add(node)
        growth += size
      }
    }
    if (c === undefined || c.groups === 1 || target === undefined) continue
    detours.gatherInput.add(node)
    detours.gatherOutput.add(node)
  }

  /** Puts a class back, and what cannot go then: what covers it, and what goes only with it. Tells which those are. */
  const put = (first: number, reason: Reason): ReadonlyArray<number> => {
    const waiting: Array<{ readonly at: number; readonly why: Reason }> = [{ at: first, why: reason }]
    const done: number[] = []
    for (let one = waiting.pop(); one !== undefined; one = waiting.pop()) {
      const { at, why } = one
      if (removed[at] !== 1) continue
      removed[at] = 0
      going -= 1
      reasons.set(at, why)
      journal?.push({ kind: 'class', at, reason: why })
      done.push(at)
      for (const cell of covers.cellsOf(at))
        for (const way of covers.waysOf(cell)) waiting.push({ at: way, why: reason })
      for (const cell of covers.coveredBy(at)) {
        const isCovered = covers.waysOf(cell).some((way) => removed[way] === 1)
        if (isCovered || !covers.isBound(cell)) continue
        const by = covers.boundBy(cell)
        const text = `goes only with its place in all heads: ${by ?? ''} tells places apart, not heads`
        waiting.push({ at: covers.fineOf(cell), why: by === undefined ? reason : { kind: 'mixed', at: by, text } })
      }
    }
    return done
  }
  for (const { value, axis, index, maker } of facts.endangered) {
    const start = classes.idOf(value, axis)
    const text = `has to be computed as before: of zeros ${labelOf(maker)} may make no finite number`
    if (start !== undefined) put(classOf[start + index] ?? 0, { kind: 'numbers', at: labelOf(maker), text })
  }
  for (const value of graph.types.keys()) {
    axesOf(graph, value).forEach((size = 0, axis) => {
      const start = classes.idOf(value, axis)
      if (start === undefined) return
      const pinned = classes.pinned(value, axis)
      const live = facts.live(value, axis)
      for (let i = 0; i < size; i++) {
        const at = classOf[start + i] ?? 0
        if (pinned !== undefined) put(at, pinned)
        else if (live?.[i] === 1 && !facts.isGiven(value, axis, i))
          put(at, { kind: 'live', at: value, text: '', channel: { value, axis, index: i } })
      }
    })
  }

  const kept = (value: ValueId, axis: number): Uint8Array | undefined => {
    const [start, size] = [classes.idOf(value, axis), axesOf(graph, value)[axis]]
    if (start === undefined || size === undefined) return undefined
    const marks = new Uint8Array(size)
    for (let i = 0; i < size; i++) marks[i] = 1 - (removed[classOf[start + i] ?? 0] ?? 0)
    const joint = jointOf(graph, value)
    return joint?.inner === axis ? ofFirstHead(value, joint, marks) : marks
  }
  /** Where heads have places of their own, those of the first head stand for all: they are equally many. */
  const ofFirstHead = (value: ValueId, { outer, outerSize, innerSize }: Joint, marks: Uint8Array): Uint8Array => {
    const head = kept(value, outer)?.indexOf(1) ?? 0
    const start = classes.idOf(value, ownAxesOf(graph, value).length)
    if (start === undefined || head < 0 || head >= outerSize) return marks
    return marks.map((_, i) => 1 - (removed[classOf[start + head * innerSize + i] ?? 0] ?? 0))
  }
  /** Whether an axis had channels and has lost all of them. */
  const isGone = (value: ValueId, axis: number, size: number): boolean => {
    const start = classes.idOf(value, axis)
    if (start === undefined || size === 0) return false
    if (jointOf(graph, value)?.inner === axis) return kept(value, axis)?.includes(1) === false
    for (let i = 0; i < size; i++) if (removed[classOf[start + i] ?? 0] !== 1) return false
    return true
  }
  const classAt = (value: ValueId, axis: number, index: number): number | undefined => {
    const start = classes.idOf(value, axis)
    return start === undefined ? undefined : classOf[start + index]
  }
  /** The nodes around the channels of a class. */
  const around = (at: number, visit: (node: Node) => void): void => {
    let last: ValueId | undefined
    for (const id of members.of(at)) {
      const { value } = classes.channelOf(id)
      if (value === last) continue
      last = value
      const producer = producers.get(value)
      if (producer) visit(producer)
      for (const user of users.get(value) ?? []) visit(user)
    }
  }
  const putClass = (at: number, reason: Reason): void => {
    for (const one of put(at, reason)) around(one, touched)
  }
  const undo = (changes: ReadonlyArray<Change>): void => {
    for (const change of changes) {
      if (change.kind === 'detour') detours[change.of].add(change.node)
      else {
        removed[change.at] = 1
        going += 1
        reasons.delete(change.at)
      }
    }
  }
  const redo = (changes: ReadonlyArray<Change>): void => {
    for (const change of changes) {
      if (change.kind === 'detour') detours[change.of].delete(change.node)
      else {
        removed[change.at] = 0
        going -= 1
        reasons.set(change.at, change.reason)
      }
    }
  }
  return {
    graph,
    facts,
    target,
    cost,
    reordering:
      cost === undefined || (graphTime(graph, cost) ?? 0) < leastTime ? 0 : leastTimeOf('ReorderOutput', cost),
    goes: (value, axis, index) => removed[classAt(value, axis, index) ?? -1] === 1,
    kept,
    vanished: (value) =>
      !graph.constants.has(value) && axesOf(graph, value).some((size = 0, axis) => isGone(value, axis, size)),
    candidates: (value, axis) => {
      const counts = new Map<number, number>()
      const [start, size = 0] = [classes.idOf(value, axis), axesOf(graph, value)[axis]]
      for (let i = 0; start !== undefined && i < size; i++) {
        const at = classOf[start + i] ?? 0
        if (removed[at] === 1) counts.set(at, (counts.get(at) ?? 0) + 1)
      }
      return [...counts]
        .map(([at, channels]) => ({ at, channels }))
        .sort((a, b) => members.sizeOf(a.at) - members.sizeOf(b.at) || a.at - b.at)
    },
    putChannel: (value, axis, index, reason) => {
      const at = classAt(value, axis, index)
      if (at !== undefined) putClass(at, reason)
    },
    putClass,
    reasonOf: (at) => reasons.get(at),
    classAt,
    count: () => going,
    detours,
    straighten: (of, { node }) => {
      if (!detours[of].delete(node)) return
      journal?.push({ kind: 'detour', of, node })
      touched(node)
    },
    attempt: (change, cost, leastGain = 0) => {
      const changes: Change[] = []
      journal = changes
      change()
      settle()
      journal = undefined
      const nodes = new Set<Node>()
      if (changes.length === 0) return { isDone: false, nodes }
      for (const one of changes) {
        if (one.kind === 'detour') nodes.add(one.node)
        else around(one.at, (node) => nodes.add(node))
      }
      const after = cost(nodes)
      undo(changes)
      const isDone = after + leastGain <= cost(nodes)
      if (isDone) redo(changes)
      return { isDone, nodes }
    },
  }
}

/** Whether a channel may add something that differs from position to position. */
const mayOweBorder = (facts: ChannelFacts, value: ValueId, { axis, uniform, payable }: Contraction): boolean =>
  facts.patterns(value, axis) !== undefined ||
  (!(uniform && payable) && facts.constants(value, axis)?.some((x) => !Number.isNaN(x) && x !== 0) === true)

/** Bytes of a constant for each position of output 0, the same for all samples of a batch. */
const borderBytes = (ctx: NodeContext<unknown>): number => {
  const [type] = ctx.outputs
  return type?.kind === 'tensor' ? byteLength(type.dtype, countOf(type.shape?.slice(1))) : Infinity
}

interface Members {
  /** Channels of a class, ascending. */
  readonly of: (at: number) => Int32Array
  readonly sizeOf: (at: number) => number
}

const membersOf = ({ classOf, count }: Classes): Members => {
  const starts = new Int32Array(count + 1)
  for (const at of classOf) starts[at + 1] = (starts[at + 1] ?? 0) + 1
  for (let at = 0; at < count; at++) starts[at + 1] = (starts[at + 1] ?? 0) + (starts[at] ?? 0)
  const ids = new Int32Array(classOf.length)
  const next = starts.slice()
  for (let id = 0; id < classOf.length; id++) {
    const at = classOf[id] ?? 0
    ids[next[at] ?? 0] = id
    next[at] = (next[at] ?? 0) + 1
  }
  return {
    of: (at) => ids.subarray(starts[at], starts[at + 1]),
    sizeOf: (at) => (starts[at + 1] ?? 0) - (starts[at] ?? 0),
  }
}
