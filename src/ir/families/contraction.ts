/**
 * Operators that sum over channels with a constant weight: which channel reads which, and the transfer functions of the
 * channel analyses. `groups.ts` keeps groups of one size, `weights.ts` makes new weights, `payment.ts` pays for constant
 * channels that go, `rebuild.ts` shrinks.
 */
import { invariant } from '../failure.ts'
import { precisionOf } from '../numerics.ts'
import type { Contraction, NodeContext } from '../op.ts'
import { blockSum, weightBlocks } from '../slices.ts'
import { elementReader, type Tensor } from '../tensor.ts'

/** Channel counts of a contraction, for reading its weight by global channel indices. */
export interface Channels {
  readonly inputs: number
  readonly outputs: number
  readonly inputsPerGroup: number
  readonly outputsPerGroup: number
}

export const channelsOf = (weight: Tensor, c: Contraction): Channels => {
  const out = weight.shape[c.weightOutputAxis] ?? 0
  const into = weight.shape[c.weightInputAxis] ?? 0
  return c.grouped === 'input'
    ? { inputs: into * c.groups, outputs: out, inputsPerGroup: into, outputsPerGroup: out / c.groups }
    : { inputs: into, outputs: out * c.groups, inputsPerGroup: into / c.groups, outputsPerGroup: out }
}

/** A contraction with its weight, ready to be asked which channel reads which. */
export interface Reads extends Channels {
  readonly contraction: Contraction
  readonly weight: Tensor
  /** 1 at `row(o) + c` where output `o` has a non-zero weight for input `c` of the same group; for hot loops. */
  readonly nonZero: Uint8Array
  readonly row: (o: number) => number
  /** Whether output `o` has a non-zero weight for input `c` of the same group. */
  readonly reads: (o: number, c: number) => boolean
  /** Sum of the weights of output `o` for input `c` of the same group. */
  readonly sum: (o: number, c: number) => number
  /** First input channel that output `o` can read, and the one after the last. */
  readonly inputsOf: (o: number) => readonly [number, number]
}

export const readsOfContraction = (ctx: NodeContext<unknown>, c: Contraction): Reads => {
  const weight = ctx.constant(c.weightPort)
  invariant(weight !== undefined, `the weight of contraction ${ctx.node.name} is not a constant`)
  const channels = channelsOf(weight, c)
  const { inputsPerGroup, outputsPerGroup } = channels
  const { nonZero, inputs: columns } = weightBlocks(weight, c.weightOutputAxis, c.weightInputAxis)
  // The grouped axis of the weight counts within a group.
  const first = (o: number): number => Math.floor(o / outputsPerGroup) * inputsPerGroup
  const row = (o: number): number => (c.grouped === 'input' ? o * columns - first(o) : (o % outputsPerGroup) * columns)
  let valueAt: ((index: number) => number) | undefined
  return {
    ...channels,
    contraction: c,
    weight,
    nonZero,
    row,
    reads: (o, i) => nonZero[row(o) + i] === 1,
    sum: (o, i) => {
      valueAt ??= elementReader(weight)
      const [line, column] = c.grouped === 'input' ? [o, i - first(o)] : [o % outputsPerGroup, i]
      return blockSum(weight, valueAt, c.weightOutputAxis, line, column)
    },
    inputsOf: (o) => [first(o), first(o) + inputsPerGroup],
  }
}

/** Constants of channels, NaN where unknown, and how far what a runtime computes may be from each. */
export interface Constants {
  readonly values: Float64Array
  readonly errors: Float64Array
}

/**
 * Constant output channels: `bias[o] + scale · Σ c·ΣW[o,c]` when every channel read is constant. `inputErrors` is what
 * the constants read may be off by, in absolute terms; each term is rounded, too.
 */
export const constantOutputs = (r: Reads, inputs: Float64Array | undefined, inputErrors?: Float64Array): Constants => {
  const values = new Float64Array(r.outputs).fill(NaN)
  const errors = new Float64Array(r.outputs)
  const unit = 2 ** -precisionOf(r.weight.dtype).digits
  for (let o = 0; o < r.outputs; o++) {
    const bias = r.contraction.bias(o)
    if (bias === undefined) continue
    const [first, end] = r.inputsOf(o)
    const row = r.row(o)
    let sum = 0
    let error = 0
    for (let i = first; i < end && !Number.isNaN(sum); i++) {
      if (r.nonZero[row + i] === 0) continue
      const value = inputs?.[i] ?? NaN
      if (value === 0) continue
      const weight = r.contraction.uniform ? r.contraction.scale * r.sum(o, i) : NaN
      sum += value * weight
      error += Math.abs(weight) * Math.max(inputErrors?.[i] ?? 0, unit * Math.abs(value))
    }
    values[o] = bias + sum
    errors[o] = error + (error > 0 ? unit * Math.abs(bias) : 0)
  }
  return { values, errors }
}

/** Input channels that some output in `wanted` reads. 1 is read. */
export const neededInputs = (r: Reads, wanted: (o: number) => boolean): Uint8Array => {
  const out = new Uint8Array(r.inputs)
  const { nonZero, outputsPerGroup } = r
  let missing = 0
  for (let o = 0; o < r.outputs; o++) {
    const [first, end] = r.inputsOf(o)
    if (o % outputsPerGroup === 0) missing = end - first
    // Most layers read all of a group's inputs in its first rows.
    if (missing === 0 || !wanted(o)) continue
    const row = r.row(o)
    for (let i = first; i < end; i++) {
      if (nonZero[row + i] === 0 || out[i] === 1) continue
      out[i] = 1
      missing -= 1
    }
  }
  return out
}
