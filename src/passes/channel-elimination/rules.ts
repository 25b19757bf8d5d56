/** What has to stay so that the result is exact and well-formed. A rule looks at one node and puts classes back. */
import { labelOf } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { axesOf, type NodeView } from './analyse.ts'
import type { Draft } from './draft.ts'
import type { Reason } from './relate.ts'

/** Puts back what the node asks for. It reads and changes channels of the node's own inputs and outputs only. */
export type Rule = (view: NodeView, draft: Draft) => void

/** Groups of a grouped contraction need equally many channels. Where the size of a side is not known, all of it stays. */
const keepGroups: Rule = ({ node, op, ctx, contraction: c, reads }, draft) => {
  if (op.legalize === undefined || c === undefined || reads === undefined) return
  const input = node.inputs[c.port] ?? ''
  const output = node.outputs[0] ?? ''
  const back = op.legalize(ctx, {
    input: draft.kept(input, c.axis) ?? new Uint8Array(reads.inputs).fill(1),
    output: draft.kept(output, c.outputAxis) ?? new Uint8Array(reads.outputs).fill(1),
  })
  const reason: Reason = { kind: 'groups', at: labelOf(node), text: `keeps the groups of ${labelOf(node)} of one size` }
  back.input.forEach((mark, i) => {
    if (mark === 1) draft.putChannel(input, c.axis, i, reason)
  })
  back.output.forEach((mark, o) => {
    if (mark === 1) draft.putChannel(output, c.outputAxis, o, reason)
  })
}

/**
 * Where removed constants cannot be paid into a bias, one constant channel per group has to stay to carry them: the one of
 * largest magnitude, so that weights moved onto it never grow.
 */
const keepCarrier: Rule = ({ node, contraction: c, reads: r }, draft) => {
  if (c === undefined || r === undefined || (c.uniform && c.payable)) return
  const { facts, goes } = draft
  const input = node.inputs[c.port] ?? ''
  const output = node.outputs[0] ?? ''
  const constants = facts.constants(input, c.axis)
  const exact = facts.exact(output, c.outputAxis)
  if (constants === undefined) return
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
    draft.putChannel(input, c.axis, carrier, { kind: 'carrier', at: labelOf(node), text })
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

/** Rounds the width that a contraction reads up to what the target is fast at, by keeping dead channels. */
const keepWidth: Rule = ({ node, op, ctx, contraction: c }, { target, kept, candidates, putClass }) => {
  const multiple = c === undefined || target === undefined ? 1 : (op.channelMultiple?.(ctx, target) ?? 1)
  if (c === undefined || multiple === 1) return
  const input = node.inputs[c.port] ?? ''
  const marks = kept(input, c.axis) ?? new Uint8Array()
  const full = marks.length
  const width = marks.reduce((n, x) => n + x, 0)
  const wanted = Math.ceil(width / multiple) * multiple
  if (width === 0 || width === full || wanted === width || wanted > full) return
  const text = `rounds the ${width} channels that ${labelOf(node)} reads up to ${wanted}, which ${target} runs faster`
  let missing = wanted - width
  for (const { at, channels } of candidates(input, c.axis)) {
    if (missing <= 0) break
    putClass(at, { kind: 'width', at: labelOf(node), text })
    missing -= channels
  }
}

/** In order: what a later rule puts back is for the earlier ones to look at again, before it goes on. */
export const rules: ReadonlyArray<Rule> = [keepGroups, keepCarrier, keepOne, keepWidth]
