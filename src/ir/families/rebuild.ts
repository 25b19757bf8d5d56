/** A contraction with other channels: what all of them share of `OpDef.shrink` and of {@link Contraction.rebuild}. */
import * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../dtype.ts'
import { gatherOperand } from '../gather-operands.ts'
import { invariant } from '../failure.ts'
import { precisionOf, type Refusal, roundTo } from '../numerics.ts'
import { makeNode } from '../make-node.ts'
import type { Contraction, Node, NodeContext, Rebuilding, Rewrite, ShrinkContext } from '../op.ts'
import { Add } from '../ops/add.ts'
import { Gather } from '../ops/gather.ts'
import { copyElements, elements, gather, type Held, int64s, type Tensor, tensorOf } from '../tensor.ts'
import { type Reads, readsOfContraction } from './contraction.ts'
import { type Grouping, planGroups } from './groups.ts'
import { payFor } from './payment.ts'
import { integerRange } from './quantization.ts'
import { marksOf, selectWeight } from './weights.ts'

const all = (length: number): Int32Array => new Int32Array(length).map((_, i) => i)

/**
 * The contraction with the kept channels, constant inputs that go paid for. Outputs that are kept although nothing needs
 * them (for width, groups or a neighbour) are written as zeros, weight and bias, so that what follows them is `f(0)`.
 *
 * Where the channels that stay do not fall into groups of one size, the contraction itself has zeros in the places that are
 * missing: what it reads there is another channel of the same group, gathered in front of it, and what it makes there is
 * left out behind it.
 */
export const shrinkContraction = (s: ShrinkContext<unknown>, c: Contraction): Rewrite => {
  const r = readsOfContraction(s, c)
  const inputs = s.keptInput(c.port, c.axis) ?? all(r.inputs)
  const outputs = s.keptOutput(0, c.outputAxis) ?? all(r.outputs)
  const exact = s.exactOutput(0, c.outputAxis)
  const [keptIn, keptOut] = [marksOf(r.inputs, inputs), marksOf(r.outputs, outputs)]
  const payment = payFor(r, {
    keepsInput: (i) => keptIn[i] === 1,
    keepsOutput: (o) => keptOut[o] === 1,
    constants: s.constantsOf(c.port, c.axis),
    patterns: s.patternsOf(c.port, c.axis),
    isExact: (o) => exact?.[o] !== 0,
    isBordered: s.isBordered,
  })
  invariant(E.isRight(payment), `${s.node.name}: channels went that cannot be paid for`)
  const { shift, carried, border } = payment.right
  const plan = planGroups(r, c.groups, { input: keptIn, output: keptOut })
  const [read, made] = [merged(inputs, plan.backInputs), merged(outputs, plan.backOutputs)]
  const isZeroOutput = (o: number): boolean => keptOut[o] === 0 || (c.payable && exact?.[o] === 0)
  const isBiasless = (o: number): boolean => isZeroOutput(o) || (c.payable && border?.outputs[o] === 1)
  const selected = selectWeight(
    r,
    { inputs: read, outputs: made, isZeroInput: (i) => keptIn[i] === 0, isZeroOutput, carried },
    s.node.name,
  )
  const [x = '', y = ''] = [s.node.inputs[c.port], s.node.outputs[0]]
  const gathered = plan.backInputs.length === 0 ? x : s.fresh(`${x}_groups`)
  const whole = plan.backOutputs.length === 0 ? y : s.fresh(`${y}_groups`)
  const sum = border === undefined ? whole : s.fresh(`${y}_inner`)
  const rebuilt = c.rebuild(
    {
      ...selected,
      node: { inputs: s.node.inputs.map((name, port) => (port === c.port ? gathered : name)), outputs: [sum] },
      outputs: made.length === r.outputs ? undefined : made,
      factor: made.some(isBiasless) ? Float64Array.from(made, (o) => (isBiasless(o) ? 0 : 1)) : undefined,
      shift: shift && Float64Array.from(made, (o) => (isBiasless(o) ? 0 : (shift[o] ?? 0))),
      operand: (port, tensor) => gatherOperand(s, port, tensor),
    },
    s,
  )
  invariant(E.isRight(rebuilt), `${s.node.name}: ${E.isLeft(rebuilt) ? rebuilt.left : ''}`)
  const constants = new Map(rebuilt.right.constants)
  const nodes: Node[] = []
  if (gathered !== x) {
    const places = new Map(Array.from(inputs, (i, at) => [i, at]))
    const substitutes = substitutesFor(r, plan, keptIn)
    const index = s.fresh(`${x}_index`)
    constants.set(index, int64s(Array.from(read, (i) => places.get(i) ?? places.get(substitutes.get(i) ?? -1) ?? 0)))
    nodes.push(makeNode(Gather, [x, index], [gathered], { axis: c.axis }))
  }
  nodes.push(...rebuilt.right.nodes)
  if (border !== undefined) {
    const name = s.fresh(`${y}_border`)
    const added = gather(border.values(), c.outputAxis, made)
    constants.set(name, tensorOf(r.weight.dtype, added.shape, elements(added)))
    nodes.push(makeNode(Add, [sum, name], [whole]))
  }
  if (whole !== y) {
    const places = new Map(Array.from(made, (o, at) => [o, at]))
    const index = s.fresh(`${y}_index`)
    constants.set(index, int64s(Array.from(outputs, (o) => places.get(o) ?? 0)))
    nodes.push(makeNode(Gather, [whole, index], [y], { axis: c.outputAxis }))
  }
  return { nodes, constants }
}

const merged = (kept: Int32Array, back: ReadonlyArray<number>): Int32Array =>
  back.length === 0 ? kept : Int32Array.from([...kept, ...back]).sort()

/** For each input that only fills a group, a kept one of the same group: it meets zeros, and must not come from elsewhere. */
const substitutesFor = (r: Reads, plan: Grouping, kept: Uint8Array): ReadonlyMap<number, number> => {
  const out = new Map<number, number>()
  for (const groups of plan.groups) {
    const members = groups.flatMap((g) => Array.from({ length: r.inputsPerGroup }, (_, k) => g * r.inputsPerGroup + k))
    const first = members.find((i) => kept[i] === 1)
    for (const i of members) if (first !== undefined && kept[i] === 0) out.set(i, first)
  }
  return out
}

/** What stays of the constant operands on ports other than `handled`, where that is less than before. */
export const otherOperands = (
  ctx: NodeContext<unknown>,
  { operand }: Rebuilding,
  handled: ReadonlyArray<number>,
): Map<number, Tensor> => {
  const out = new Map<number, Tensor>()
  for (const port of ctx.node.inputs.keys()) {
    const tensor = handled.includes(port) ? undefined : ctx.constant(port)
    const kept = tensor && operand?.(port, tensor)
    if (kept !== undefined && kept !== tensor) out.set(port, kept)
  }
  return out
}

/** Whether {@link rebias} does more than to select from the bias. */
export const changesBias = ({ factor, shift }: Pick<Rebuilding, 'factor' | 'shift'>, isBiased: boolean): boolean =>
  (isBiased && factor?.some((f) => f !== 1) === true) || shift?.some((t) => t !== 0) === true

/** `factor · bias + shift` of kept output `at`, rounded once to `dtype`; refused where that is not finite. */
export const rebias = (
  bias: number,
  at: number,
  { factor, shift }: Pick<Rebuilding, 'factor' | 'shift'>,
  dtype: DType,
): E.Either<Refusal, number> => {
  const f = factor?.[at] ?? 1
  const sum = (f === 0 ? 0 : f * bias) + (shift?.[at] ?? 0)
  const rounded = roundTo(dtype, sum)
  // A constant that was infinite before stays so: the masked model is not finite either.
  if (Number.isFinite(rounded) || (f === 1 && (shift?.[at] ?? 0) === 0)) return E.right(rounded)
  return E.left(`a bias of ${sum} is beyond ${precisionOf(dtype).largest}, the largest ${dtype}`)
}

/** {@link rebias} of every kept output, `bias` read by kept output. */
export const rebiased = (
  count: number,
  bias: (at: number) => number,
  change: Pick<Rebuilding, 'factor' | 'shift'>,
  dtype: DType,
): E.Either<Refusal, Float64Array> => {
  const out = new Float64Array(count)
  for (let at = 0; at < count; at++) {
    const one = rebias(bias(at), at, change, dtype)
    if (E.isLeft(one)) return one
    out[at] = one.right
  }
  return E.right(out)
}

/** How far from an integer an amount may be that is added to integers, relative to the terms that it is the sum of. */
const integerTolerance = 2 ** -21

/** Adds amounts to the integers of a bias, by output: the sum, or why it is not exact. */
type IntegerSums = (output: number, shift: number, size: number) => E.Either<Refusal, number>

const integerSums = (bias: Held): IntegerSums => {
  const along = (part: Tensor | undefined, otherwise: number): ((o: number) => number) => {
    const values = part && elements(part)
    return (o) => Number(values?.[values.length === 1 ? 0 : o] ?? otherwise)
  }
  const [old, scaleOf, zeroOf] = [along(bias.stored, NaN), along(bias.scale, 1), along(bias.zero, 0)]
  const [low, high] = integerRange(bias.stored.dtype)
  return (output, shift, size) => {
    const scale = scaleOf(output)
    const added = Math.round(shift / scale)
    const off = Math.abs(shift / scale - added)
    if (!(off <= Math.min(0.25, integerTolerance * Math.max(size / scale, 1)))) {
      return E.left(`${shift} is no multiple of ${scale}, the scale of the bias`)
    }
    const sum = old(output) + added
    // Of larger ones single precision does not keep every digit.
    const fits = sum >= low && sum <= high && Math.abs(sum - zeroOf(output)) < 2 ** 24
    return fits ? E.right(sum) : E.left(`a bias of ${sum} times ${scale} is not exact`)
  }
}

/** {@link Contraction.admits} of a bias that may be held as integers. */
export const heldShiftRefused = (bias: Tensor | undefined): Contraction['admits'] => {
  if (bias?.tag !== 'Held') return undefined
  let sums: IntegerSums | undefined
  return (output, shift, size) => {
    sums ??= integerSums(bias)
    const sum = sums(output, shift, size)
    return shift !== 0 && E.isLeft(sum) ? sum.left : undefined
  }
}

/**
 * A bias of one axis that is held as integers, for the kept outputs: `factor · bias + shift`. Factors other than 0 and 1 are
 * refused, and so are amounts that are no integers in terms of its scale.
 */
export const rebiasHeld = (
  bias: Held,
  { outputs, factor, shift }: Pick<Rebuilding, 'outputs' | 'factor' | 'shift'>,
): E.Either<Refusal, Held> => {
  const count = bias.shape[0] ?? 0
  const indices = outputs ?? all(count)
  const kept = gather(bias, 0, indices)
  invariant(kept.tag === 'Held', 'a selection of what is held')
  const stored = copyElements(kept.stored)
  const zeros = kept.zero && elements(kept.zero)
  const sums = integerSums(bias)
  for (let at = 0; at < indices.length; at++) {
    const [f, t, o] = [factor?.[at] ?? 1, shift?.[at] ?? 0, indices[at] ?? 0]
    if (f !== 0 && f !== 1) return E.left('its bias is held as integers, which cannot hold others')
    const zero = Number(zeros?.[zeros.length === 1 ? 0 : at] ?? 0)
    if (f === 0 && t !== 0) return E.left('its bias is held as integers, which cannot hold others')
    if (f === 0) stored[at] = zero
    else if (t !== 0) {
      const sum = sums(o, t, Infinity)
      if (E.isLeft(sum)) return sum
      stored[at] = sum.right
    }
  }
  return E.right({ ...kept, stored: tensorOf(kept.stored.dtype, kept.stored.shape, stored) })
}
