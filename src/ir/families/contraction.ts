/**
 * Operators that sum over channels with a constant weight: which channel reads which, and the transfer functions of the
 * channel analyses. `groups.ts` keeps groups of one size, `weights.ts` makes new weights, `payment.ts` pays for constant
 * channels that go, `rebuild.ts` shrinks.
 */
import { invariant } from '../failure.ts'
import { precisionOf } from '../numerics.ts'
import type { Contraction, NodeContext } from '../op.ts'
import { type Blocks, blockSum, isNonZero, weightBlocks } from '../slices.ts'
import { elementReader, type Tensor } from '../tensor.ts'

/** Channel counts of a contraction, for reading its weight by global channel indices. */
export interface Channels {
  readonly inputs: number
  readonly outputs: number
  readonly inputsPerGroup: number
  readonly outputsPerGroup: number
}

export const channelsOf = (
  weight: Tensor,
  c: Pick<Contraction, 'weightOutputAxis' | 'weightInputAxis' | 'groups' | 'grouped'>,
): Channels => {
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
  /** Where the weight is not zero, in its own rows and columns, which count within a group along the grouped axis. */
  readonly blocks: Blocks
  readonly rowOf: (o: number) => number
  readonly columnOf: (o: number, c: number) => number
  /** Whether output `o` has a non-zero weight for input `c` of the same group. */
  readonly reads: (o: number, c: number) => boolean
  /** Sums of the weights of output `o` for input `c` of the same group; the weight is in memory while the answer is. */
  readonly sums: () => (o: number, c: number) => number
  /** First input channel that output `o` can read, and the one after the last. */
  readonly inputsOf: (o: number) => readonly [number, number]
}

export const readsOfContraction = (ctx: NodeContext<unknown>, c: Contraction): Reads => {
  const weight = c.weight ?? ctx.constant(c.weightPort)
  invariant(weight !== undefined, `the weight of contraction ${ctx.node.name} is not a constant`)
  const channels = channelsOf(weight, c)
  const { inputsPerGroup, outputsPerGroup } = channels
  const blocks = weightBlocks(weight, c.weightOutputAxis, c.weightInputAxis)
  const first = (o: number): number => Math.floor(o / outputsPerGroup) * inputsPerGroup
  const rowOf = (o: number): number => (c.grouped === 'input' ? o : o % outputsPerGroup)
  const columnOf = (o: number, i: number): number => (c.grouped === 'input' ? i - first(o) : i)
  return {
    ...channels,
    contraction: c,
    weight,
    blocks,
    rowOf,
    columnOf,
    reads: (o, i) => isNonZero(blocks, rowOf(o), columnOf(o, i)),
    sums: () => {
      let valueAt: ((index: number) => number) | undefined
      return (o, i) => {
        valueAt ??= elementReader(weight)
        return blockSum(weight, valueAt, c.weightOutputAxis, rowOf(o), columnOf(o, i))
      }
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
  const sumOf = r.sums()
  const { counts, makes } = r.contraction
  for (let o = 0; o < r.outputs; o++) {
    const bias = r.contraction.bias(o)
    if (bias === undefined) continue
    const [first, end] = r.inputsOf(o)
    let sum = 0
    let error = 0
    const readAfter = channelsRead(r, o)
    for (let i = readAfter(first); i < end && !Number.isNaN(sum); i = readAfter(i + 1)) {
      const held = inputs?.[i] ?? NaN
      const value = counts === undefined ? held : counts(held)
      if (value === 0) continue
      // The weight is read only where that can make a difference.
      const isKnown = r.contraction.uniform && !Number.isNaN(value)
      const weight = isKnown ? r.contraction.scale * sumOf(o, i) : NaN
      sum += value * weight
      error += Math.abs(weight) * Math.max(inputErrors?.[i] ?? 0, unit * Math.abs(value))
    }
    values[o] = makes === undefined ? bias + sum : (makes(bias + sum) ?? NaN)
    errors[o] = makes === undefined ? error + (error > 0 ? unit * Math.abs(bias) : 0) : 0
  }
  return { values, errors }
}

/** The first input channel from `i` on that output `o` has a non-zero weight for; past its last one where there is none. */
const channelsRead = (r: Reads, o: number): ((i: number) => number) => {
  const { nonZero, words } = r.blocks
  const [first, end] = r.inputsOf(o)
  const shift = r.columnOf(o, first) - first
  const row = r.rowOf(o) * words
  return (from) => {
    let i = from
    while (i < end) {
      const column = i + shift
      const rest = (nonZero[row + (column >>> 5)] ?? 0) >>> (column & 31)
      if (rest !== 0) return i + 31 - Math.clz32(rest & -rest)
      i += 32 - (column & 31)
    }
    return end
  }
}

/** Input channels that some output in `wanted` reads. 1 is read. */
export const neededInputs = (r: Reads, wanted: (o: number) => boolean): Uint8Array => {
  const out = new Uint8Array(r.inputs)
  const { nonZero, words } = r.blocks
  const read = new Uint32Array(words)
  for (let start = 0; start < r.outputs; start += r.outputsPerGroup) {
    read.fill(0)
    for (let o = start; o < start + r.outputsPerGroup; o++) {
      if (!wanted(o)) continue
      const row = r.rowOf(o) * words
      for (let w = 0; w < words; w++) read[w] = (read[w] ?? 0) | (nonZero[row + w] ?? 0)
    }
    const [first, end] = r.inputsOf(start)
    for (let i = first; i < end; i++) {
      const column = r.columnOf(start, i)
      out[i] = ((read[column >>> 5] ?? 0) >>> (column & 31)) & 1
    }
  }
  return out
}
