/**
 * Which classes go. A class can go when every member is dead or constant and none is pinned. From that largest set,
 * classes are put back until the result is exact and well-formed: groups of equal size, a carrier for constants that meet
 * padding, no operator without channels, widths that the target runs fast. Only ever putting back, it ends.
 */
import { type Graph, labelOf } from '../../ir/graph.ts'
import type { Target, ValueId } from '../../ir/op.ts'
import { axesOf, type ChannelFacts, type NodeView, viewsOf } from './analyse.ts'
import type { Classes, Reason } from './relate.ts'

export interface Decision {
  /** Indices kept along an axis, ascending; undefined when all are. */
  readonly kept: (value: ValueId, axis: number) => Int32Array | undefined
  /** Whether some axis of the value has lost every index. */
  readonly vanished: (value: ValueId) => boolean
  /** Why a channel that is dead or constant stays; undefined for channels that go. */
  readonly reason: (value: ValueId, axis: number, index: number) => Reason | undefined
  /** Whether any class goes. */
  readonly changes: boolean
}

/** Without a target, widths are not rounded up. */
export const decide = (graph: Graph, facts: ChannelFacts, classes: Classes, target: Target | undefined): Decision => {
  const removed = new Uint8Array(classes.count).fill(1)
  const reasons = new Map<number, Reason>()
  const sizes = new Int32Array(classes.count)
  for (let id = 0; id < classes.classOf.length; id++) {
    const at = classes.classOf[id] ?? 0
    sizes[at] = (sizes[at] ?? 0) + 1
  }
  const put = (at: number, reason: Reason): boolean => {
    if (removed[at] === 0) return false
    removed[at] = 0
    reasons.set(at, reason)
    return true
  }
  forEachAxis(graph, classes, (value, axis, start, size) => {
    const pinned = classes.pinned(value, axis)
    const live = facts.live(value, axis)
    const constants = facts.constants(value, axis)
    for (let i = 0; i < size; i++) {
      const at = classes.classOf[start + i] ?? 0
      if (pinned !== undefined) put(at, pinned)
      else if (live?.[i] === 1 && Number.isNaN(constants?.[i] ?? NaN)) {
        put(at, { kind: 'live', at: value, text: `goes with a channel of ${value} that is needed and not constant` })
      }
    }
  })

  const classAt = (value: ValueId, axis: number, index: number): number | undefined => {
    const start = classes.idOf(value, axis)
    return start === undefined ? undefined : classes.classOf[start + index]
  }
  const goes = (value: ValueId, axis: number, index: number): boolean => {
    const at = classAt(value, axis, index)
    return at !== undefined && removed[at] === 1
  }
  const keptMarks = (value: ValueId, axis: number): Uint8Array =>
    new Uint8Array(axesOf(graph, value)[axis] ?? 0).map((_, i) => (goes(value, axis, i) ? 0 : 1))
  const vanished = (value: ValueId): boolean =>
    !graph.constants.has(value) &&
    axesOf(graph, value).some((size, axis) => size !== undefined && size > 0 && !keptMarks(value, axis).includes(1))
  /** The removed classes along an axis, those with fewest members first. */
  const candidates = (
    value: ValueId,
    axis: number,
  ): ReadonlyArray<{ readonly at: number; readonly channels: number }> => {
    const counts = new Map<number, number>()
    const size = axesOf(graph, value)[axis] ?? 0
    for (let i = 0; i < size; i++) {
      const at = classAt(value, axis, i)
      if (at !== undefined && removed[at] === 1) counts.set(at, (counts.get(at) ?? 0) + 1)
    }
    return [...counts]
      .map(([at, channels]) => ({ at, channels }))
      .sort((a, b) => (sizes[a.at] ?? 0) - (sizes[b.at] ?? 0) || a.at - b.at)
  }
  const rules: ReadonlyArray<(view: NodeView) => boolean> = [
    (view) =>
      putBackGroups(view, keptMarks, (value, axis, index, reason) => put(classAt(value, axis, index) ?? -1, reason)),
    (view) =>
      putBackCarrier(view, facts, goes, (value, axis, index, reason) => put(classAt(value, axis, index) ?? -1, reason)),
    (view) => putBackEmpty(graph, view, vanished, candidates, put),
    (view) => target !== undefined && putBackWidth(graph, view, target, keptMarks, candidates, put),
  ]
  const views = viewsOf(graph)
  for (const rule of rules.keys()) settle(views, rules.slice(0, rule + 1))

  return {
    kept: (value, axis) => {
      const marks = graph.constants.has(value) ? undefined : keptMarks(value, axis)
      if (marks === undefined || !marks.includes(0)) return undefined
      return Int32Array.from(marks.keys()).filter((i) => marks[i] === 1)
    },
    vanished,
    reason: (value, axis, index) => {
      const at = classAt(value, axis, index)
      if (at === undefined) return { kind: 'opaque', at: value, text: `belongs to ${value}, whose shape is not known` }
      return removed[at] === 1 ? undefined : reasons.get(at)
    },
    changes: removed.includes(1),
  }
}

/** Applies the rules to every node, in order, until none puts anything back. */
const settle = (views: ReadonlyArray<NodeView>, rules: ReadonlyArray<(view: NodeView) => boolean>): void => {
  for (let changed = true; changed;) {
    changed = false
    for (const rule of rules) for (const view of views) changed = rule(view) || changed
  }
}

const forEachAxis = (
  graph: Graph,
  classes: Classes,
  visit: (value: ValueId, axis: number, start: number, size: number) => void,
): void => {
  for (const value of graph.types.keys()) {
    axesOf(graph, value).forEach((size, axis) => {
      const start = classes.idOf(value, axis)
      if (start !== undefined && size !== undefined) visit(value, axis, start, size)
    })
  }
}

type PutChannel = (value: ValueId, axis: number, index: number, reason: Reason) => boolean

const putBackGroups = (
  view: NodeView,
  keptMarks: (value: ValueId, axis: number) => Uint8Array,
  put: PutChannel,
): boolean => {
  const { node, op, ctx, contraction } = view
  if (op.legalize === undefined || contraction === undefined) return false
  const input = node.inputs[contraction.port] ?? ''
  const output = node.outputs[0] ?? ''
  const back = op.legalize(ctx, {
    input: keptMarks(input, contraction.axis),
    output: keptMarks(output, contraction.outputAxis),
  })
  const reason: Reason = { kind: 'groups', at: labelOf(node), text: `keeps the groups of ${labelOf(node)} of one size` }
  let changed = false
  back.input.forEach((mark, i) => {
    if (mark === 1) changed = put(input, contraction.axis, i, reason) || changed
  })
  back.output.forEach((mark, o) => {
    if (mark === 1) changed = put(output, contraction.outputAxis, o, reason) || changed
  })
  return changed
}

/**
 * Where removed constants cannot be paid into a bias, one constant channel per group has to stay to carry them: the one of
 * largest magnitude, so that weights moved onto it never grow.
 */
const putBackCarrier = (
  { node, contraction: c, reads: r }: NodeView,
  facts: ChannelFacts,
  goes: (value: ValueId, axis: number, index: number) => boolean,
  put: PutChannel,
): boolean => {
  if (c === undefined || r === undefined || (c.uniform && c.payable)) return false
  const input = node.inputs[c.port] ?? ''
  const output = node.outputs[0] ?? ''
  const constants = facts.constants(input, c.axis)
  const exact = facts.exact(output, c.outputAxis)
  if (constants === undefined) return false
  let changed = false
  for (let group = 0; group < c.groups; group++) {
    const [first, end] = [group * r.inputsPerGroup, (group + 1) * r.inputsPerGroup]
    let owed = false
    let carrier = -1
    let kept = false
    for (let i = first; i < end; i++) {
      const value = constants[i] ?? NaN
      if (Number.isNaN(value) || value === 0) continue
      if (!goes(input, c.axis, i)) {
        kept = true
        continue
      }
      if (carrier < 0 || Math.abs(value) > Math.abs(constants[carrier] ?? 0)) carrier = i
      for (let o = group * r.outputsPerGroup; o < (group + 1) * r.outputsPerGroup && !owed; o++) {
        owed = exact?.[o] !== 0 && !goes(output, c.outputAxis, o) && r.reads(o, i)
      }
    }
    if (!owed || kept || carrier < 0) continue
    const text = `carries the constants that meet the padding of ${labelOf(node)}`
    changed = put(input, c.axis, carrier, { kind: 'carrier', at: labelOf(node), text }) || changed
  }
  return changed
}

type Candidates = (value: ValueId, axis: number) => ReadonlyArray<{ readonly at: number; readonly channels: number }>
type PutClass = (at: number, reason: Reason) => boolean

/** No operator that stays may lose all of an axis, unless it can do without that port. */
const putBackEmpty = (
  graph: Graph,
  { node, op }: NodeView,
  vanished: (value: ValueId) => boolean,
  candidates: Candidates,
  put: PutClass,
): boolean => {
  const isGone = (value: ValueId): boolean => value !== '' && vanished(value)
  const outputs = node.outputs.filter((o) => o !== '')
  const gone = outputs.filter(isGone)
  if (gone.length === outputs.length) return false
  const inputs = node.inputs.filter((i) => i !== '')
  const lost = inputs.filter(isGone)
  const empty = [...(op.mayLoseInputs && lost.length < inputs.length ? [] : lost), ...(op.mayLoseOutputs ? [] : gone)]
  const reason: Reason = { kind: 'empty', at: labelOf(node), text: `leaves ${labelOf(node)} one channel to work on` }
  let changed = false
  for (const value of empty) {
    axesOf(graph, value).forEach((_, axis) => {
      const [first] = vanished(value) ? candidates(value, axis) : []
      if (first !== undefined) changed = put(first.at, reason) || changed
    })
  }
  return changed
}

/** Rounds the width that a contraction reads up to what the target is fast at, by keeping dead channels. */
const putBackWidth = (
  graph: Graph,
  { node, op, ctx, contraction: c }: NodeView,
  target: Target,
  keptMarks: (value: ValueId, axis: number) => Uint8Array,
  candidates: Candidates,
  put: PutClass,
): boolean => {
  const multiple = c === undefined ? 1 : (op.channelMultiple?.(ctx, target) ?? 1)
  if (c === undefined || multiple === 1) return false
  const input = node.inputs[c.port] ?? ''
  const full = axesOf(graph, input)[c.axis] ?? 0
  const width = keptMarks(input, c.axis).reduce((n, x) => n + x, 0)
  const wanted = Math.ceil(width / multiple) * multiple
  if (width === 0 || width === full || wanted === width || wanted > full) return false
  const text = `rounds the ${width} channels that ${labelOf(node)} reads up to ${wanted}, which ${target} runs faster`
  let missing = wanted - width
  let changed = false
  for (const { at, channels } of candidates(input, c.axis)) {
    if (missing <= 0) break
    changed = put(at, { kind: 'width', at: labelOf(node), text }) || changed
    missing -= channels
  }
  return changed
}
