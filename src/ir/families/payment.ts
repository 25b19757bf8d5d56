/**
 * What removed constant channels added to a contraction is paid for exactly: into the bias where their share is the same
 * at all positions, `shift[o] = scale · Σ c · ΣW[o,c]`, else onto a *carrier*, a constant channel k that stays:
 * `W'[o,k] = W[o,k] + Σ (c/k) · W[o,c]`, exact at padded borders too, or as a constant `[1,M,...]` that is added to the
 * result, one number for each position.
 */
import * as E from 'fp-ts/lib/Either.js'
import { invariant } from '../failure.ts'
import { carrierRatio, precisionOf, type Refusal } from '../numerics.ts'
import type { Reads } from './contraction.ts'
import { type Dense, elementReader, elements } from '../tensor.ts'
import { type Carried, carriedBlock, tapSums } from './weights.ts'

/** Which channels stay, and what is known of them. */
export interface Removal {
  readonly keepsInput: (i: number) => boolean
  readonly keepsOutput: (o: number) => boolean
  /** Constants of the input channels, NaN where there is none. */
  readonly constants: Float64Array | undefined
  /** Whether an output has to stay what it is. */
  readonly isExact: (o: number) => boolean
  /** Whether a constant for each position may be added to the result. */
  readonly isBordered: boolean
}

export interface Payment {
  /** Added to each old output; undefined when nothing is. */
  readonly shift: Float64Array | undefined
  readonly carried: ReadonlyArray<Carried>
  /** What is added to each position of the old outputs, float64 `[1,M,...]`. */
  readonly border?: () => Dense
}

/** Channels that have to come back, and why. */
export interface Unpaid {
  readonly kind: 'carrier' | 'numbers'
  readonly channels: ReadonlyArray<number>
  readonly reason: Refusal
}

const nothing: Payment = { shift: undefined, carried: [] }

/** How what goes is paid for, or what has to come back so that it can be. */
export const payFor = (r: Reads, removal: Removal): E.Either<Unpaid, Payment> => {
  const { constants } = removal
  if (constants === undefined) return E.right(nothing)
  const owed = owedBy(r, removal, constants)
  if (owed.length === 0) return E.right(nothing)
  const { uniform, payable, border } = r.contraction
  if (uniform && payable) return payIntoBias(r, owed, constants)
  if (removal.isBordered && border !== undefined) return payAtBorder(r, owed, constants, border)
  return payOntoCarriers(r, removal, owed, constants)
}

/** An output and the removed channels with a constant other than zero that it reads. */
interface Debt {
  readonly output: number
  readonly channels: ReadonlyArray<number>
}

const owedBy = (r: Reads, removal: Removal, constants: Float64Array): ReadonlyArray<Debt> => {
  const owed: Debt[] = []
  const { groups } = r.contraction
  for (let group = 0; group < groups; group++) {
    const gone: number[] = []
    for (let i = group * r.inputsPerGroup; i < (group + 1) * r.inputsPerGroup; i++) {
      const value = constants[i] ?? NaN
      if (!Number.isNaN(value) && value !== 0 && !removal.keepsInput(i)) gone.push(i)
    }
    if (gone.length === 0) continue
    for (let o = group * r.outputsPerGroup; o < (group + 1) * r.outputsPerGroup; o++) {
      if (!removal.keepsOutput(o) || !removal.isExact(o)) continue
      const row = r.row(o)
      const channels = gone.filter((i) => r.nonZero[row + i] === 1)
      if (channels.length > 0) owed.push({ output: o, channels })
    }
  }
  return owed
}

const payIntoBias = (r: Reads, owed: ReadonlyArray<Debt>, constants: Float64Array): E.Either<Unpaid, Payment> => {
  const { largest } = precisionOf(r.weight.dtype)
  const shift = new Float64Array(r.outputs)
  for (const { output, channels } of owed) {
    let sum = 0
    for (const i of channels) sum += (constants[i] ?? NaN) * r.sum(output, i)
    sum *= r.contraction.scale
    const bias = r.contraction.bias(output)
    const size = bias === undefined ? r.contraction.biasSize(output) + Math.abs(sum) : Math.abs(bias + sum)
    if (!(size <= largest)) {
      return E.left({ kind: 'numbers', channels, reason: `${sum} added to a bias would be too large for its type` })
    }
    shift[output] = sum
  }
  return E.right({ shift, carried: [] })
}

const payAtBorder = (
  r: Reads,
  owed: ReadonlyArray<Debt>,
  constants: Float64Array,
  border: (sums: Dense) => Dense | undefined,
): E.Either<Unpaid, Payment> => {
  const sums = tapSums(r, owed, (i) => constants[i] ?? NaN)
  const { largest } = precisionOf(r.weight.dtype)
  // The taps of an output lie together, and a position adds up some of them.
  const values = elements(sums)
  const taps = values.length / r.outputs
  for (const { output, channels } of owed) {
    let size = 0
    for (let k = output * taps; k < (output + 1) * taps; k++) size += Math.abs(Number(values[k]))
    if (!(size <= largest)) {
      return E.left({ kind: 'numbers', channels, reason: `what they add up to may be too large for ${r.weight.dtype}` })
    }
  }
  const added = (): Dense => {
    const found = border(sums)
    invariant(found !== undefined, 'a convolution of ones that cannot be evaluated')
    return found
  }
  return E.right({ ...nothing, border: added })
}

const payOntoCarriers = (
  r: Reads,
  removal: Removal,
  owed: ReadonlyArray<Debt>,
  constants: Float64Array,
): E.Either<Unpaid, Payment> => {
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
