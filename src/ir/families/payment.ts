/**
 * What removed channels that no input changes added to a contraction is paid for exactly: into the bias where their share is
 * the same at all positions, `shift[o] = scale · Σ c · ΣW[o,c]`; onto a *carrier*, a constant channel k that stays:
 * `W'[o,k] = W[o,k] + Σ (c/k) · W[o,c]`, exact at padded borders too; or as a constant `[1,M,...]` that is added to the result,
 * one number for each position. Patterns, which differ from position to position, can be paid for in the last way only.
 */
import * as E from 'fp-ts/lib/Either.js'
import { numbersOf } from '../evaluate.ts'
import { invariant } from '../failure.ts'
import { carrierRatio, precisionOf, type Refusal } from '../numerics.ts'
import type { Reads } from './contraction.ts'
import type { Patterns, Summation } from '../op.ts'
import { type Dense, elementReader, gather, tensorOf } from '../tensor.ts'
import { sizeOf } from '../type.ts'
import { blockSize, type Carried, carriedBlock, marksOf } from './weights.ts'

/** Which channels stay, and what is known of them. */
export interface Removal {
  readonly keepsInput: (i: number) => boolean
  readonly keepsOutput: (o: number) => boolean
  /** Constants of the input channels, NaN where there is none. */
  readonly constants: Float64Array | undefined
  /** Input channels that no input of the model changes, but that differ from position to position. */
  readonly patterns: Patterns | undefined
  /** Whether an output has to stay what it is. */
  readonly isExact: (o: number) => boolean
  /** Whether a constant for each position may be added to the result. */
  readonly isBordered: boolean
}

export interface Payment {
  /** Added to each old output; undefined when nothing is. */
  readonly shift: Float64Array | undefined
  readonly carried: ReadonlyArray<Carried>
  readonly border?: Border
}

/** A constant for each position. */
export interface Border {
  /** 1 for each old output that it holds all constants of: its bias, where that is one, and the shift are in it. */
  readonly outputs: Uint8Array
  /** What is added to each position of the old outputs, float64 `[1,M,...]`. */
  readonly values: () => Dense
}

/** Channels that have to come back, and why. */
export interface Unpaid {
  readonly kind: 'carrier' | 'numbers' | 'pattern'
  readonly channels: ReadonlyArray<number>
  readonly reason: Refusal
}

const nothing: Payment = { shift: undefined, carried: [] }

/** How what goes is paid for, or what has to come back so that it can be. */
export const payFor = (r: Reads, given: Removal): E.Either<Unpaid, Payment> => {
  const removal = counted(r, given)
  const { patterns, isBordered } = removal
  const owed = owedBy(r, removal)
  if (owed.length === 0) return E.right(nothing)
  const { uniform, payable, contract } = r.contraction
  const isPattern = (i: number): boolean => patterns?.has(i) === true
  const intoBias = uniform && payable ? only(owed, (i) => !isPattern(i)) : []
  const rest = uniform && payable ? only(owed, isPattern) : owed
  const bias = payIntoBias(r, intoBias, removal)
  if (E.isLeft(bias) || rest.length === 0) return bias
  // Integers cannot take on the share of others, and what is added between a product of integers and what rounds it to integers again
  // would keep a runtime from multiplying these.
  if (r.weight.tag === 'Held') {
    const channels = [...new Set(rest.flatMap((debt) => debt.channels))]
    return uniform && !payable
      ? E.left({ kind: 'numbers', channels, reason: 'it has no bias that is known' })
      : E.left({
          kind: 'pattern',
          channels,
          reason: 'a weight that is held as smaller numbers cannot make up for that',
        })
  }
  if (isBordered && contract !== undefined) {
    const border = payAtBorder(r, rest, removal, contract, bias.right.shift)
    return E.isLeft(border) ? border : E.right({ ...bias.right, border: border.right })
  }
  const back = [...new Set(only(rest, isPattern).flatMap(({ channels }) => channels))]
  if (back.length === 0) return payOntoCarriers(r, removal, rest)
  return E.left({
    kind: 'pattern',
    channels: back,
    reason: contract === undefined ? 'there is no sum for each position' : 'to add it there costs more than it saves',
  })
}

/** The removal with the constants that the sum counts; infinity for one that is known, but not what it counts as. */
const counted = (r: Reads, removal: Removal): Removal => {
  const { counts } = r.contraction
  if (counts === undefined) return removal
  const of = (x: number): number => {
    const value = counts(x)
    return Number.isNaN(value) && !Number.isNaN(x) ? Infinity : value
  }
  return { ...removal, constants: removal.constants?.map(of) }
}

/** An output and the removed channels that it reads and that hold something else than zero. */
interface Debt {
  readonly output: number
  readonly channels: ReadonlyArray<number>
}

/** The debts to some channels. */
const only = (owed: ReadonlyArray<Debt>, which: (i: number) => boolean): ReadonlyArray<Debt> =>
  owed.flatMap(({ output, channels }) => {
    const some = channels.filter(which)
    return some.length === 0 ? [] : [{ output, channels: some }]
  })

const owedBy = (r: Reads, { constants, patterns, ...removal }: Removal): ReadonlyArray<Debt> => {
  const owed: Debt[] = []
  if (constants === undefined && patterns === undefined) return owed
  const { groups } = r.contraction
  for (let group = 0; group < groups; group++) {
    const gone: number[] = []
    for (let i = group * r.inputsPerGroup; i < (group + 1) * r.inputsPerGroup; i++) {
      const value = constants?.[i] ?? NaN
      const isOwed = Number.isNaN(value) ? patterns?.has(i) === true : value !== 0
      if (isOwed && !removal.keepsInput(i)) gone.push(i)
    }
    if (gone.length === 0) continue
    const start = group * r.outputsPerGroup
    const { nonZero, words } = r.blocks
    const marks = new Uint32Array(words)
    const channelAt = new Int32Array(32 * words)
    for (const i of gone) {
      const column = r.columnOf(start, i)
      marks[column >>> 5] = (marks[column >>> 5] ?? 0) | (1 << (column & 31))
      channelAt[column] = i
    }
    for (let o = start; o < start + r.outputsPerGroup; o++) {
      const row = r.rowOf(o) * words
      let [read, unread] = [0, 0]
      for (let word = 0; word < words; word++) {
        const [some, mark] = [nonZero[row + word] ?? 0, marks[word] ?? 0]
        read |= some & mark
        unread |= ~some & mark
      }
      if (read === 0 || !removal.keepsOutput(o) || !removal.isExact(o)) continue
      if (unread === 0) owed.push({ output: o, channels: gone })
      else {
        const channels: number[] = []
        for (let word = 0; word < words; word++) {
          for (let bits = (nonZero[row + word] ?? 0) & (marks[word] ?? 0); bits !== 0; bits &= bits - 1)
            channels.push(channelAt[32 * word + 31 - Math.clz32(bits & -bits)] ?? 0)
        }
        owed.push({ output: o, channels })
      }
    }
  }
  return owed
}

const payIntoBias = (r: Reads, owed: ReadonlyArray<Debt>, { constants }: Removal): E.Either<Unpaid, Payment> => {
  if (owed.length === 0) return E.right(nothing)
  const { largest } = precisionOf(r.weight.dtype)
  const shift = new Float64Array(r.outputs)
  const sumOf = r.sums()
  const at = r.contraction.admits === undefined ? () => NaN : elementReader(r.weight)
  const termsOf = (o: number, channels: ReadonlyArray<number>): number => {
    let size = 0
    for (const i of channels) size += Math.abs(constants?.[i] ?? NaN) * blockSize(r, at, o, i)
    return size * Math.abs(r.contraction.scale)
  }
  for (const { output, channels } of owed) {
    let sum = 0
    for (const i of channels) sum += (constants?.[i] ?? NaN) * sumOf(output, i)
    sum *= r.contraction.scale
    const bias = r.contraction.bias(output)
    const size = bias === undefined ? r.contraction.biasSize(output) + Math.abs(sum) : Math.abs(bias + sum)
    if (!(size <= largest)) {
      return E.left({ kind: 'numbers', channels, reason: `${sum} added to a bias would be too large for its type` })
    }
    const refused = r.contraction.admits?.(output, sum, termsOf(output, channels))
    if (refused !== undefined) return E.left({ kind: 'numbers', channels, reason: refused })
    shift[output] = sum
  }
  return E.right({ shift, carried: [] })
}

/**
 * The constant `[1,M,...]` of what is owed, zero for outputs that owe nothing. The bias is in it, so that the two are rounded
 * as one where they cancel.
 */
const payAtBorder = (
  r: Reads,
  owed: ReadonlyArray<Debt>,
  { constants, patterns }: Removal,
  { shape, sum }: Summation,
  shift: Float64Array | undefined,
): E.Either<Unpaid, Border> => {
  const c = r.contraction
  const { largest } = precisionOf(r.weight.dtype)
  const at = elementReader(r.weight)
  const heldBy = (i: number): Float64Array => {
    const number = constants?.[i] ?? NaN
    return (Number.isNaN(number) ? patterns?.slice(i) : undefined) ?? Float64Array.of(number)
  }
  const sizes = new Map<number, number>()
  const sizeOfChannel = (i: number): number => {
    const known = sizes.get(i) ?? heldBy(i).reduce((size, x) => Math.max(size, Math.abs(x)), 0)
    sizes.set(i, known)
    return known
  }
  for (const { output, channels } of owed) {
    let size = 0
    for (const i of channels) size += blockSize(r, at, output, i) * sizeOfChannel(i)
    const bias = c.payable ? c.biasSize(output) + Math.abs(shift?.[output] ?? 0) : 0
    if (!(Math.abs(c.scale) * size + bias <= largest)) {
      return E.left({ kind: 'numbers', channels, reason: `what they add up to may be too large for ${r.weight.dtype}` })
    }
  }
  const outputs = marksOf(
    r.outputs,
    Int32Array.from(owed, ({ output }) => output),
  )
  const values = (): Dense => {
    const paid = new Set(owed.flatMap(({ channels }) => channels))
    const all = Array.from({ length: r.inputs }, (_, i) => i)
    // All channels of a grouped contraction, those that are not owed as zeros.
    const read = c.groups === 1 ? all.filter((i) => paid.has(i)) : all
    const inner = sizeOf(shape.slice(c.axis + 1))
    const outer = sizeOf(shape.slice(0, c.axis))
    const x = new Float64Array(outer * read.length * inner)
    for (const [k, i] of read.entries()) {
      if (!paid.has(i)) continue
      const held = heldBy(i)
      for (let n = 0; n < outer * inner; n++) {
        x[(Math.floor(n / inner) * read.length + k) * inner + (n % inner)] = held[n % held.length] ?? NaN
      }
    }
    const input = tensorOf(
      'float64',
      shape.map((size, axis) => (axis === c.axis ? read.length : size)),
      x,
    )
    const weight = c.groups === 1 ? gather(r.weight, c.weightInputAxis, Int32Array.from(read)) : r.weight
    const sums = sum(input, weight, c.groups)
    invariant(sums !== undefined, 'a sum by definition that cannot be evaluated')
    const rows = sizeOf(sums.shape.slice(c.outputAxis + 1))
    const border = numbersOf(sums).map((added, k) => {
      const o = Math.floor(k / rows) % r.outputs
      const bias = c.payable ? (c.bias(o) ?? NaN) + (shift?.[o] ?? 0) : 0
      return outputs[o] === 1 ? c.scale * added + bias : 0
    })
    return tensorOf('float64', sums.shape, border)
  }
  return E.right({ outputs, values })
}

const payOntoCarriers = (r: Reads, removal: Removal, owed: ReadonlyArray<Debt>): E.Either<Unpaid, Payment> => {
  const constants = removal.constants ?? new Float64Array()
  const carried: Carried[] = []
  const at = elementReader(r.weight)
  const sizeOf = (i: number): number => Math.abs(constants[i] ?? 0)
  const largestOf = (channels: Iterable<number>): number => {
    let largest = -1
    for (const i of channels) if (largest < 0 || sizeOf(i) > sizeOf(largest)) largest = i
    return largest
  }
  const carriers = Array.from({ length: r.contraction.groups }, (_, group) => {
    const kept: number[] = []
    for (let i = group * r.inputsPerGroup; i < (group + 1) * r.inputsPerGroup; i++) {
      if (sizeOf(i) > 0 && removal.keepsInput(i)) kept.push(i)
    }
    return largestOf(kept)
  })
  for (const { output, channels } of owed) {
    const carrier = carriers[Math.floor(output / r.outputsPerGroup)] ?? -1
    const largest = largestOf(channels)
    if (carrier < 0 || sizeOf(largest) > carrierRatio * sizeOf(carrier)) {
      const back = largestOf(allOwed(r, owed, output))
      return E.left({
        kind: 'carrier',
        channels: [back],
        reason: 'constants that meet padding need one that carries them',
      })
    }
    const mine = channels.map((from) => ({
      output,
      from,
      to: carrier,
      factor: (constants[from] ?? NaN) / (constants[carrier] ?? NaN),
    }))
    if (carriedBlock(r, at, mine) === undefined) {
      return E.left({ kind: 'numbers', channels, reason: 'its share would lose digits on the channel that carries it' })
    }
    carried.push(...mine)
  }
  return E.right({ shift: undefined, carried })
}

/** Every channel that an output of the same group owes. */
const allOwed = (r: Reads, owed: ReadonlyArray<Debt>, output: number): ReadonlySet<number> => {
  const group = Math.floor(output / r.outputsPerGroup)
  const out = new Set<number>()
  for (const debt of owed) {
    if (Math.floor(debt.output / r.outputsPerGroup) === group) for (const i of debt.channels) out.add(i)
  }
  return out
}
