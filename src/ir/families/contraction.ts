/**
 * Operators that sum over channels with a constant weight: Conv, ConvTranspose, Gemm, MatMul. The transfer functions,
 * the payment for constant channels and the selection of weights are the same for all of them.
 */
import { bitsOf } from '../dtype.ts'
import { numbersOf } from '../evaluate.ts'
import { invariant } from '../failure.ts'
import type { Contraction, NodeContext, Proposal, ShrinkContext, Target } from '../op.ts'
import { blockSum, weightBlocks } from '../slices.ts'
import { elementReader, elements, gather, materialize, type Tensor, tensorOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'

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

/** Constant output channels, NaN where unknown: `bias[o] + scale · Σ c·ΣW[o,c]` when every channel read is constant. */
export const constantOutputs = (r: Reads, inputs: Float64Array | undefined): Float64Array => {
  const out = new Float64Array(r.outputs).fill(NaN)
  for (let o = 0; o < r.outputs; o++) {
    const bias = r.contraction.bias(o)
    if (bias === undefined) continue
    const [first, end] = r.inputsOf(o)
    const row = r.row(o)
    let sum = 0
    for (let i = first; i < end && !Number.isNaN(sum); i++) {
      if (r.nonZero[row + i] === 0) continue
      const value = inputs?.[i] ?? NaN
      if (value === 0) continue
      sum = r.contraction.uniform ? sum + value * r.sum(o, i) : NaN
    }
    out[o] = bias + r.contraction.scale * sum
  }
  return out
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

/** How surviving channels fall into groups of equal size, and which have to come back for that. */
interface Grouping {
  /** Old groups in each new group, in order. */
  readonly groups: ReadonlyArray<ReadonlyArray<number>>
  readonly backInputs: ReadonlyArray<number>
  readonly backOutputs: ReadonlyArray<number>
}

const keptIn = (kept: Uint8Array, group: number, size: number): number => {
  let n = 0
  for (let i = group * size; i < (group + 1) * size; i++) n += kept[i] ?? 0
  return n
}

/**
 * Groups that lost all their channels go. The others need equally many inputs and outputs each: either channels come
 * back, or `m` neighbouring groups become one (zero weights between them) where that is fewer multiplications. Channel
 * order never changes.
 */
const planGroups = (channels: Channels, groups: number, kept: Proposal): Grouping => {
  const { inputsPerGroup, outputsPerGroup } = channels
  const alive: number[] = []
  for (let g = 0; g < groups; g++) {
    if (keptIn(kept.input, g, inputsPerGroup) + keptIn(kept.output, g, outputsPerGroup) > 0) alive.push(g)
  }
  let best: { readonly cost: number; readonly plan: Grouping } | undefined
  for (let m = 1; m <= alive.length; m++) {
    if (alive.length % m !== 0) continue
    const merged: number[][] = []
    for (let i = 0; i < alive.length; i += m) merged.push(alive.slice(i, i + m))
    const width = (side: Uint8Array, size: number): number =>
      Math.max(1, ...merged.map((gs) => gs.reduce((n, g) => n + keptIn(side, g, size), 0)))
    const ins = width(kept.input, inputsPerGroup)
    const outs = width(kept.output, outputsPerGroup)
    const cost = merged.length * ins * outs
    if (best !== undefined && best.cost <= cost) continue
    const back = (side: Uint8Array, size: number, target: number): number[] =>
      merged.flatMap((gs) => {
        let missing = target - gs.reduce((n, g) => n + keptIn(side, g, size), 0)
        const list: number[] = []
        for (const g of gs) {
          for (let i = g * size; i < (g + 1) * size && missing > 0; i++) {
            if (side[i] === 1) continue
            list.push(i)
            missing -= 1
          }
        }
        return list
      })
    best = {
      cost,
      plan: {
        groups: merged,
        backInputs: back(kept.input, inputsPerGroup, ins),
        backOutputs: back(kept.output, outputsPerGroup, outs),
      },
    }
  }
  return best?.plan ?? { groups: [], backInputs: [], backOutputs: [] }
}

/** Puts back what a grouped contraction needs to have groups of one size. */
export const legalizeGroups = (ctx: NodeContext<unknown>, c: Contraction, proposal: Proposal): Proposal => {
  const weight = ctx.constant(c.weightPort)
  if (c.groups === 1 || weight === undefined) return { input: new Uint8Array(0), output: new Uint8Array(0) }
  const channels = channelsOf(weight, c)
  const plan = planGroups(channels, c.groups, proposal)
  const marks = (length: number, list: ReadonlyArray<number>): Uint8Array => {
    const out = new Uint8Array(length)
    for (const i of list) out[i] = 1
    return out
  }
  return { input: marks(channels.inputs, plan.backInputs), output: marks(channels.outputs, plan.backOutputs) }
}

export interface ShrunkContraction {
  readonly weight: Tensor
  readonly groups: number
  /** What removed constant channels added to each kept output channel; undefined when nothing has to be paid. */
  readonly delta: Float64Array | undefined
  readonly outputs: Int32Array
}

const all = (length: number): Int32Array => new Int32Array(length).map((_, i) => i)

/** Weight of output `output` for channel `from`, times `factor`, to be added to that for channel `to`. */
interface Carried {
  readonly output: number
  readonly from: number
  readonly to: number
  readonly factor: number
}

/** Of one group of inputs: removed channels that held a constant other than zero, and who could carry them, or -1. */
interface Debt {
  readonly owed: ReadonlyArray<number>
  readonly carrier: number
}

const debtsOf = (r: Reads, kept: Uint8Array, constants: Float64Array | undefined): ReadonlyArray<Debt> => {
  if (constants === undefined) return []
  return Array.from({ length: r.contraction.groups }, (_, group) => {
    const owed: number[] = []
    let carrier = -1
    for (let i = group * r.inputsPerGroup; i < (group + 1) * r.inputsPerGroup; i++) {
      const value = constants[i] ?? NaN
      if (Number.isNaN(value) || value === 0) continue
      if (kept[i] === 0) owed.push(i)
      else if (carrier < 0 || Math.abs(value) > Math.abs(constants[carrier] ?? 0)) carrier = i
    }
    return { owed, carrier }
  })
}

/**
 * The weight for the kept channels. Removed constant channels are paid for exactly: into the bias where their share is
 * the same at all positions (`delta[o] = scale · Σ c·ΣW[o,c]`), else onto a carrier, the kept constant channel of
 * largest magnitude k: `W'[o,k] = W[o,k] + Σ (c/k)·W[o,c]`, exact at padded borders too.
 */
export const shrinkContraction = (s: ShrinkContext<unknown>, c: Contraction): ShrunkContraction => {
  const r = readsOfContraction(s, c)
  const inputs = s.keptInput(c.port, c.axis) ?? all(r.inputs)
  const outputs = s.keptOutput(0, c.outputAxis) ?? all(r.outputs)
  const constants = s.constantsOf(c.port, c.axis)
  const exact = s.exactOutput(0, c.outputAxis)
  const kept = new Uint8Array(r.inputs)
  for (const i of inputs) kept[i] = 1
  const debts = debtsOf(r, kept, constants)
  const delta = new Float64Array(outputs.length)
  let paid = false
  const carried: Carried[] = []
  outputs.forEach((o, at) => {
    const debt = debts[Math.floor(o / r.outputsPerGroup)]
    if (exact?.[o] === 0 || debt === undefined) return
    for (const i of debt.owed) {
      if (!r.reads(o, i)) continue
      const value = constants?.[i] ?? NaN
      if (c.uniform && c.payable) {
        delta[at] = (delta[at] ?? 0) + c.scale * value * r.sum(o, i)
        paid = true
      } else {
        invariant(debt.carrier >= 0, `no carrier for constant channel ${i} into ${s.node.name}`)
        carried.push({ output: at, from: i, to: debt.carrier, factor: value / (constants?.[debt.carrier] ?? NaN) })
      }
    }
  })
  const selected = selectWeight(r, inputs, outputs, kept, s)
  return {
    weight:
      carried.length === 0 ? selected.weight : carry(r, selected.weight, inputs, outputs, selected.groups, carried),
    groups: selected.groups.length,
    delta: paid ? delta : undefined,
    outputs,
  }
}

const selectWeight = (
  r: Reads,
  inputs: Int32Array,
  outputs: Int32Array,
  kept: Uint8Array,
  s: ShrinkContext<unknown>,
): { readonly weight: Tensor; readonly groups: ReadonlyArray<ReadonlyArray<number>> } => {
  const c = r.contraction
  if (c.groups === 1) {
    const rows = gather(r.weight, c.weightOutputAxis, outputs)
    return { weight: gather(rows, c.weightInputAxis, inputs), groups: [[0]] }
  }
  const keptOut = new Uint8Array(r.outputs)
  for (const o of outputs) keptOut[o] = 1
  const plan = planGroups(r, c.groups, { input: kept, output: keptOut })
  invariant(
    plan.backInputs.length + plan.backOutputs.length === 0,
    `${s.node.name}: kept channels do not fall into groups of one size`,
  )
  const source = materialize(r.weight)
  const values = elements(source)
  const block = sizeOf(source.shape.slice(2))
  const second = source.shape[1] ?? 0
  const groupOfInput = (i: number): number => Math.floor(i / r.inputsPerGroup)
  const groupOfOutput = (o: number): number => Math.floor(o / r.outputsPerGroup)
  const ins = inputs.length / plan.groups.length
  const outs = outputs.length / plan.groups.length
  const rows = c.grouped === 'input' ? outputs.length : outs
  const columns = c.grouped === 'input' ? ins : inputs.length
  const swapped = c.weightOutputAxis !== 0
  const result = new Float64Array(rows * columns * block)
  for (let at = 0; at < outputs.length; at++) {
    const o = outputs[at] ?? 0
    const group = Math.floor(at / outs)
    for (let j = 0; j < ins; j++) {
      const i = inputs[group * ins + j] ?? 0
      if (groupOfInput(i) !== groupOfOutput(o)) continue
      const oldRow = c.grouped === 'input' ? o : o % r.outputsPerGroup
      const oldColumn = c.grouped === 'input' ? i % r.inputsPerGroup : i
      const newRow = c.grouped === 'input' ? at : at % outs
      const newColumn = c.grouped === 'input' ? j : group * ins + j
      const from = (swapped ? oldColumn * second + oldRow : oldRow * second + oldColumn) * block
      const to = (swapped ? newColumn * rows + newRow : newRow * columns + newColumn) * block
      for (let k = 0; k < block; k++) result[to + k] = Number(values[from + k])
    }
  }
  const shape = source.shape.map((d, a) => (a === c.weightOutputAxis ? rows : a === c.weightInputAxis ? columns : d))
  return { weight: tensorOf(source.dtype, shape, result), groups: plan.groups }
}

/** Adds `factor · W[o, from]` onto the carrier's block of each output. */
const carry = (
  r: Reads,
  weight: Tensor,
  inputs: Int32Array,
  outputs: Int32Array,
  groups: ReadonlyArray<ReadonlyArray<number>>,
  carried: ReadonlyArray<Carried>,
): Tensor => {
  const c = r.contraction
  const source = materialize(r.weight)
  const old = elements(source)
  const block = sizeOf(source.shape.slice(2))
  const second = source.shape[1] ?? 0
  const swapped = c.weightOutputAxis !== 0
  const result = new Float64Array(numbersOf(materialize(weight)))
  const newSecond = weight.shape[1] ?? 0
  const ins = inputs.length / groups.length
  const outs = outputs.length / groups.length
  const positionOf = new Map<number, number>()
  inputs.forEach((i, at) => positionOf.set(i, at))
  for (const { output, from, to, factor } of carried) {
    const o = outputs[output] ?? 0
    const at = positionOf.get(to)
    invariant(at !== undefined, `carrier ${to} was not kept`)
    const oldRow = c.grouped === 'input' ? o : o % r.outputsPerGroup
    const oldColumn = c.grouped === 'input' ? from % r.inputsPerGroup : from
    const newRow = c.grouped === 'input' ? output : output % outs
    const newColumn = c.grouped === 'input' ? at % ins : at
    const source0 = (swapped ? oldColumn * second + oldRow : oldRow * second + oldColumn) * block
    const target0 = (swapped ? newColumn * newSecond + newRow : newRow * newSecond + newColumn) * block
    for (let k = 0; k < block; k++) {
      result[target0 + k] = (result[target0 + k] ?? 0) + factor * Number(old[source0 + k])
    }
  }
  return tensorOf(weight.dtype, weight.shape, result)
}

/** The kept part of a per-output-channel constant, plus what has to be paid. Undefined when there is neither. */
export const shrinkBias = (
  bias: Tensor | undefined,
  weight: Tensor,
  { outputs, delta }: ShrunkContraction,
): Tensor | undefined => {
  const selected = bias === undefined ? undefined : gather(bias, bias.shape.length - 1, outputs)
  if (delta === undefined) return selected
  const values = selected === undefined ? undefined : elements(selected)
  return tensorOf(
    weight.dtype,
    [delta.length],
    Float64Array.from(delta, (d, i) => d + Number(values?.[i] ?? 0)),
  )
}

/**
 * The multiple of channels that tensor cores (8 half-width or 4 single-width floats to a load) and WebGPU's vectors of 4
 * want. The CPU wants what `cpu` says.
 */
export const channelMultiple = (ctx: NodeContext<unknown>, target: Target, cpu: number): number => {
  if (target === 'cpu') return cpu
  const [type] = ctx.outputs
  return target === 'cuda' && type?.kind === 'tensor' && bitsOf(type.dtype) === 16 ? 8 : 4
}
