/**
 * What a layer costs in the making of a decision, in multiply-accumulates. Moving one float through memory (a gather, an
 * addition) and a width that the target is slow at are counted as what they take of its time.
 */
import { planGroups } from '../../ir/families/groups.ts'
import { countOf, outputShape } from '../../ir/links.ts'
import { widthMultiple } from '../target.ts'
import type { Draft } from './draft.ts'
import type { NodeView } from './views.ts'

/** A float read and written takes the time of about this many multiply-accumulates of a convolution. */
const elementPrice = 32

/**
 * How much longer a contraction takes that reads a number of channels the target is slow at. Two 3x3 convolutions with 61 to
 * 255 channels between them took 1.06 to 1.25 times as long for each multiply-accumulate as with a multiple of 16, all of
 * it in the second one (ONNX Runtime's CPU provider).
 */
const oddWidth = 1.3

/**
 * Of a contraction with the channels that stay at the moment; 0 for any other node and for one that vanishes. A width that
 * is not final may still be rounded up, where that is cheaper.
 */
export const priceOf = (view: NodeView, draft: Draft, isFinal: boolean): number => {
  const { node, op, ctx, contraction: c, reads } = view
  const [output = ''] = node.outputs
  if (c === undefined || reads === undefined || draft.vanished(output)) return 0
  const macs = op.macs?.(ctx) ?? 0
  const input = draft.kept(node.inputs[c.port] ?? '', c.axis) ?? new Uint8Array(reads.inputs).fill(1)
  const made = draft.kept(output, c.outputAxis) ?? new Uint8Array(reads.outputs).fill(1)
  const [ins, outs] = [count(input), count(made)]
  const elements = (countOf(outputShape(ctx)) / reads.outputs) * outs
  const detours = (draft.detours.border.has(node) ? elements : 0) * elementPrice
  if (c.groups > 1) {
    const plan = planGroups(reads, c.groups, { input, output: made })
    const [inside, outside] = [ins + plan.backInputs.length, outs + plan.backOutputs.length]
    const share = (inside * outside) / Math.max(1, plan.groups.length) / (reads.inputsPerGroup * reads.outputs)
    const moved = (plan.backInputs.length > 0 ? inside : 0) + (plan.backOutputs.length > 0 ? outs : 0)
    return macs * share + detours + (countOf(outputShape(ctx)) / reads.outputs) * moved * elementPrice
  }
  const multiple = draft.target === undefined ? 1 : widthMultiple(reads, draft.target)
  const slow =
    ins % multiple === 0 ? 1 : isFinal ? oddWidth : Math.min(oddWidth, (Math.ceil(ins / multiple) * multiple) / ins)
  return (macs * ins * outs * slow) / (reads.inputs * reads.outputs) + detours
}

const count = (marks: Uint8Array): number => {
  let n = 0
  for (const mark of marks) n += mark
  return n
}
