/** What has to stay so that the result is exact and well-formed. A rule looks at one node and puts classes back. */
import * as E from 'fp-ts/lib/Either.js'
import { usersOf } from '../../ir/analysis.ts'
import { emptyGroups, planGroups } from '../../ir/families/groups.ts'
import { payFor } from '../../ir/families/payment.ts'
import { labelOf } from '../../ir/graph.ts'
import { inputShape } from '../../ir/links.ts'
import type { Statistics, ValueId } from '../../ir/op.ts'
import { type Target, widthMultiple, widthsAbove, widthsNote } from '../target.ts'
import type { Candidate, Draft } from './draft.ts'
import { unpaidBy } from './mixing.ts'
import { idleIndices } from './pairs.ts'
import type { Reason } from './relate.ts'
import { axesOf, jointOf, type NodeView, ownAxesOf } from './views.ts'

/** Puts back what the node asks for. It reads and changes channels of the node's own inputs and outputs only. */
export type Rule = (view: NodeView, draft: Draft) => void

/**
 * Groups of a grouped contraction need equally many channels, or at least one each where they are gathered. Where the
 * channels of a side are not told apart, all of it stays.
 */
const keepGroups: Rule = ({ node, contraction: c, reads }, draft) => {
  if (c === undefined || reads === undefined || c.groups === 1) return
  const input = node.inputs[c.port] ?? ''
  const output = node.outputs[0] ?? ''
  const kept = {
    input: draft.kept(input, c.axis) ?? new Uint8Array(reads.inputs).fill(1),
    output: draft.kept(output, c.outputAxis) ?? new Uint8Array(reads.outputs).fill(1),
  }
  const [full, least] = [planGroups(reads, c.groups, kept), emptyGroups(reads, c.groups, kept)]
  const reason: Reason = { kind: 'groups', at: labelOf(node), text: `keeps the groups of ${labelOf(node)} of one size` }
  const { gatherInput, gatherOutput } = draft.detours
  for (const i of (gatherInput.has(node) ? least : full).backInputs) draft.putChannel(input, c.axis, i, reason)
  for (const o of (gatherOutput.has(node) ? least : full).backOutputs) draft.putChannel(output, c.outputAxis, o, reason)
}

/** A weight that is held in blocks loses its inputs in blocks. */
const keepBlocks: Rule = ({ node, contraction: c }, { goes, putChannel }) => {
  if (c?.missed === undefined) return
  const input = node.inputs[c.port] ?? ''
  const text = `shares a block of the weight of ${labelOf(node)} with channels that stay`
  for (const i of c.missed((k) => !goes(input, c.axis, k))) {
    putChannel(input, c.axis, i, { kind: 'groups', at: labelOf(node), text })
  }
}

/** Heads keep equally many places each. */
const keepHeadsEven: Rule = ({ node }, { graph, goes, putChannel }) => {
  for (const value of node.outputs) {
    const joint = jointOf(graph, value)
    if (joint === undefined || joint.isBound) continue
    const { outer, inner, outerSize, innerSize } = joint
    const axis = ownAxesOf(graph, value).length
    const places = Array.from({ length: innerSize }, (_, p) => p)
    const left = Array.from({ length: outerSize }, (_, head) => head)
      .filter((head) => !goes(value, outer, head))
      .map((head) => ({ head, gone: places.filter((p) => goes(value, axis, head * innerSize + p)) }))
    const least = left.reduce((n, { gone }) => Math.min(n, gone.length), innerSize)
    for (const { head, gone } of left) {
      const alone = gone.filter((p) => !goes(value, inner, p))
      for (const p of alone.slice(0, gone.length - least)) {
        const reason: Reason = { kind: 'groups', at: value, text: `keeps the parts of ${value} of one size` }
        putChannel(value, axis, head * innerSize + p, reason)
      }
    }
  }
}

/** Of each group of heads that share something as many stay; and what they share stays, or all of it goes with them. */
const keepShares: Rule = ({ node, op, ctx }, { graph, goes, putChannel, vanished }) => {
  const sharing = op.sharing?.(ctx)
  const [output = ''] = node.outputs
  if (sharing === undefined || node.outputs.every((value) => value === '' || vanished(value))) return
  const { axis, groups, perGroup, size } = sharing
  const text = `keeps the groups of ${labelOf(node)} of one size`
  const reason: Reason = { kind: 'groups', at: labelOf(node), text }
  const shared = sharing.shared.flatMap((one) => {
    const value = (one.side === 'input' ? node.inputs : node.outputs)[one.port] ?? ''
    return value === '' || graph.constants.has(value) ? [] : [{ ...one, value }]
  })
  const left: Array<ReadonlyArray<number>> = []
  for (let group = 0; group < groups; group++) {
    const stays = shared.some((one) => !goes(one.value, one.axis, group * one.size))
    if (!stays) continue
    for (const one of shared) putChannel(one.value, one.axis, group * one.size, reason)
    const heads = Array.from({ length: perGroup }, (_, i) => (group * perGroup + i) * size)
    left.push(heads.filter((head) => goes(output, axis, head)))
  }
  const least = left.reduce((n, heads) => Math.min(n, heads.length), perGroup)
  for (const heads of left)
    for (const head of heads.slice(0, heads.length - least)) putChannel(output, axis, head, reason)
}

/** Constants that cannot be paid for stay: one for each group that carries the others, or those whose numbers do not fit. */
const keepUnpaid: Rule = ({ node, contraction: c, reads }, { facts, goes, putChannel, detours }) => {
  if (c === undefined || reads === undefined) return
  const input = node.inputs[c.port] ?? ''
  const output = node.outputs[0] ?? ''
  const exact = facts.exact(output, c.outputAxis)
  for (;;) {
    const payment = payFor(reads, {
      keepsInput: (i) => !goes(input, c.axis, i),
      keepsOutput: (o) => !goes(output, c.outputAxis, o),
      constants: facts.constants(input, c.axis),
      patterns: facts.patterns(input, c.axis),
      isExact: (o) => exact?.[o] !== 0,
      isBordered: detours.border.has(node),
    })
    if (E.isRight(payment)) return
    const { kind, channels, reason } = payment.left
    const text = {
      carrier: `carries the constants that meet the padding of ${labelOf(node)}`,
      pattern: `is not the same at all positions behind ${labelOf(node)}: ${reason}`,
      numbers: `cannot be paid for in ${labelOf(node)}: ${reason}`,
    }[kind]
    for (const i of channels) putChannel(input, c.axis, i, { kind, at: labelOf(node), text })
  }
}

/**
 * Of channels that are normalised or summed up together, only constants can be left out that the operator makes up for, as
 * many in each group; others stay while one of their group does.
 */
const keepStatistics: Rule = (view, draft) => {
  for (const one of view.statistics) keepAlong(view, one, draft)
}

const keepAlong = ({ node }: NodeView, s: Statistics, { facts, kept, vanished, putChannel, detours }: Draft): void => {
  const input = node.inputs[s.port] ?? ''
  const marks = kept(input, s.axis)
  if (marks === undefined || node.outputs.every((o) => o === '' || vanished(o))) return
  const constants = facts.constants(input, s.axis)
  const makesUp = !s.isPadded || detours.padding.has(node)
  const leaves = (i: number): boolean =>
    makesUp && !Number.isNaN(constants?.[i] ?? NaN) && s.leaves(constants?.[i] ?? NaN)
  const perGroup = marks.length / s.groups
  const text = `is of the channels that ${labelOf(node)} takes the statistics of`
  const reason: Reason = { kind: 'mixed', at: labelOf(node), text }
  const leaving: Array<ReadonlyArray<number>> = []
  for (let start = 0; start < marks.length; start += perGroup) {
    const gone = Array.from({ length: perGroup }, (_, k) => start + k).filter((i) => marks[i] === 0)
    if (gone.length === perGroup) continue
    for (const i of gone) if (!leaves(i)) putChannel(input, s.axis, i, reason)
    leaving.push(gone.filter(leaves))
  }
  const least = Math.min(...leaving.map(({ length }) => length))
  for (const gone of leaving) for (const i of gone.slice(least)) putChannel(input, s.axis, i, reason)
}

/** Of a product only what one side makes idle goes. */
const keepPairs: Rule = ({ node, pairs }, { graph, facts, goes, putChannel, vanished }) => {
  if (pairs.length === 0 || vanished(node.outputs[0] ?? '')) return
  const text = `is multiplied with what is not zero in ${labelOf(node)}`
  for (const pair of pairs) {
    const { ports, axes } = pair
    const idle = ([0, 1] as const).map((side) => idleIndices(graph, node, pair, side, facts))
    const isIdle = (k: number): boolean => idle.some((one) => one(k))
    const side = graph.constants.has(node.inputs[ports[0]] ?? '') ? 1 : 0
    const [value, axis] = [node.inputs[ports[side]] ?? '', axes[side]]
    const joint = axis < ownAxesOf(graph, value).length ? undefined : jointOf(graph, value)
    for (let k = 0; k < (axesOf(graph, value)[axis] ?? 0); k++) {
      // What goes with its head is not missed.
      if (joint !== undefined && goes(value, joint.outer, Math.floor(k / joint.innerSize))) continue
      if (goes(value, axis, k) && !isIdle(k)) putChannel(value, axis, k, { kind: 'product', at: labelOf(node), text })
    }
  }
}

/** Constants that mixed channels read and that cannot be paid for stay. */
const keepUnpaidMixed: Rule = (view, { graph, facts, goes, putChannel }) => {
  if (view.mixing === undefined) return
  const label = labelOf(view.node)
  for (let found = unpaidBy(graph, view, facts, goes); found; found = unpaidBy(graph, view, facts, goes)) {
    const { axis, channels, reason } = found
    const text = `cannot be paid for in ${label}: ${reason}`
    for (const i of channels) putChannel(axis.value, axis.axis, i, { kind: 'numbers', at: label, text })
  }
}

/**
 * What is selected goes with what it is selected from, unless that is constant and is put back. At a cut that is not taken,
 * both go or none.
 */
const keepSelections: Rule = (view, { graph, facts, detours, goes, putChannel, reasonOf, classAt }) => {
  const found = view.selection
  if (found === undefined) return
  const { node } = view
  const [input = ''] = node.inputs
  const [output = ''] = node.outputs
  const { inputAxis, outputAxis, from } = found.link
  const [reader] = usersOf(graph).get(output) ?? []
  const by = reader === undefined ? output : labelOf(reader)
  const isTaken = detours.selection.has(node)
  const tie = (text: string): Reason => ({ kind: 'tie', at: by, text: `${text} would take longer than it saves` })
  const constants = detours.restoration.has(node) ? facts.constants(input, inputAxis) : undefined
  const isRestored = (i: number): boolean => Number.isFinite(constants?.[i] ?? NaN)
  const isKnown = (i: number): boolean =>
    found.isWhole && Number.isFinite(facts.constants(input, inputAxis)?.[i] ?? NaN)
  for (let o = from?.first ?? 0; o < (from?.end ?? ownAxesOf(graph, output)[outputAxis] ?? 0); o++) {
    const i = from?.at(o) ?? o
    const gone = { input: goes(input, inputAxis, i), output: goes(output, outputAxis, o) }
    if (gone.input && !gone.output && !isRestored(i)) {
      const reason = reasonOf(classAt(output, outputAxis, o) ?? -1)
      const priced = tie(`is constant, but to put it back in front of ${by}`)
      putChannel(input, inputAxis, i, reason === undefined || (found.restores && isKnown(i)) ? priced : reason)
    }
    if (gone.output && !gone.input && found.isWhole && !isTaken) {
      putChannel(output, outputAxis, o, tie(`is not needed by ${by}, but to leave it out there`))
    }
  }
}

/** No operator that stays may lose all of an axis, unless it can do without that port. */
const keepOne: Rule = ({ node, op }, { graph, vanished, candidates, putClass }) => {
  const isGone = (value: ValueId): boolean => value !== '' && vanished(value)
  const outputs = node.outputs.filter((o) => o !== '')
  const gone = outputs.filter(isGone)
  if (gone.length === outputs.length) return
  const inputs = node.inputs.filter((i) => i !== '')
  const lost = inputs.filter(isGone)
  const empty = [...(op.mayLoseInputs && lost.length < inputs.length ? [] : lost), ...(op.mayLoseOutputs ? [] : gone)]
  const reason: Reason = { kind: 'empty', at: labelOf(node), text: `leaves ${labelOf(node)} one channel to work on` }
  for (const value of empty) {
    for (const axis of axesOf(graph, value).keys()) {
      const [first] = vanished(value) ? candidates(value, axis) : []
      if (first !== undefined) putClass(first.at, reason)
    }
  }
}

/** In order: what a later rule puts back is for the earlier ones to look at again, before it goes on. */
export const rules: ReadonlyArray<Rule> = [
  keepGroups,
  keepBlocks,
  keepHeadsEven,
  keepShares,
  keepStatistics,
  keepUnpaid,
  keepUnpaidMixed,
  keepPairs,
  keepSelections,
  keepOne,
]

/** Classes that round a width up. */
interface Rounding {
  readonly classes: ReadonlyArray<number>
  readonly reason: Reason
}

/** What rounds the width that a contraction reads up to what the target may be faster at: dead channels that stay. */
export const roundingsOf = (
  { node, contraction: c, reads }: NodeView,
  { kept, candidates, cost }: Draft,
  target: Target,
): ReadonlyArray<Rounding> => {
  if (c === undefined || reads === undefined) return []
  const input = node.inputs[c.port] ?? ''
  const marks = kept(input, c.axis) ?? new Uint8Array()
  const full = marks.length
  const width = marks.reduce((n, x) => n + x, 0)
  if (width === 0 || width === full) return []
  const multiple = widthMultiple(reads, target)
  const widths = cost === undefined ? [Math.ceil(width / multiple) * multiple] : widthsAbove(width, cost.block)
  return widths.flatMap((wanted) => {
    if (wanted === width || wanted > full) return []
    const text = `rounds the ${width} channels that ${labelOf(node)} reads up to ${wanted}, which ${target} runs faster${widthsNote(target)}`
    const classes = fillers(candidates(input, c.axis), wanted - width)
    return [{ classes, reason: { kind: 'width', at: labelOf(node), text } }]
  })
}

/** A part of an axis that a node puts together from several inputs. */
export interface Part {
  readonly value: ValueId
  readonly axis: number
}

/** The axis of images that is computed in blocks. */
const imageRank = 4
const channelAxis = 1

/** The channels of images that a node puts one after another: in blocks only where each of them fills its blocks. */
export const joinedBy = ({ node, ctx, links }: NodeView): ReadonlyArray<Part> => {
  if (links === 'opaque') return []
  const parts = links.filter(
    ({ input, inputAxis, outputAxis, from }) =>
      from !== undefined &&
      inputAxis === channelAxis &&
      outputAxis === channelAxis &&
      inputShape(ctx, input)?.length === imageRank,
  )
  if (new Set(parts.map(({ input }) => input)).size < 2) return []
  return parts.map(({ input, inputAxis }) => ({ value: node.inputs[input] ?? '', axis: inputAxis }))
}

/** The classes that fill the last block of a part up; none where it is full, or nothing is left of it. */
export const fillingOf = ({ value, axis }: Part, { kept, candidates }: Draft, block: number): ReadonlyArray<number> => {
  const marks = kept(value, axis) ?? new Uint8Array()
  const width = marks.reduce((n, x) => n + x, 0)
  const wanted = Math.ceil(width / block) * block
  if (width === 0 || wanted > marks.length) return []
  return fillers(candidates(value, axis), wanted - width)
}

/** The first classes that have so many channels together. */
const fillers = (candidates: ReadonlyArray<Candidate>, channels: number): ReadonlyArray<number> => {
  const classes: number[] = []
  let missing = channels
  for (const one of candidates) {
    if (missing <= 0) break
    classes.push(one.at)
    missing -= one.channels
  }
  return classes
}
