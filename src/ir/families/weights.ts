/** New weights for a contraction: selected, scaled, composed and with constants moved onto a carrier. */
import * as E from 'fp-ts/lib/Either.js'
import { isFloat } from '../dtype.ts'
import { invariant } from '../failure.ts'
import { fits, growthLimit, type Precision, precisionOf, type Refusal } from '../numerics.ts'
import type { Contraction } from '../op.ts'
import { type Extremes, extremesOf, noteExtremes, scan } from '../scan.ts'
import { keepBlocks } from '../slices.ts'
import { editElements } from '../edits.ts'
import { elementBuffer, elementReader, elements, gather, type Tensor, tensorOf, type TensorShape } from '../tensor.ts'
import { sizeOf } from '../type.ts'
import { type Channels, channelsOf, type Reads } from './contraction.ts'
import { planGroups } from './groups.ts'

/** Where the elements of a weight are: block `W[o, i, ...]` begins at `start(o, i)` and has `taps` elements. */
interface Layout {
  readonly taps: number
  /** `i` is an input of the group of output `o`; both counted over all groups. */
  readonly start: (o: number, i: number) => number
}

export const layoutOf = (shape: ReadonlyArray<number>, c: Contraction, channels: Channels): Layout => {
  const taps = sizeOf(shape.slice(2))
  const second = shape[1] ?? 0
  const { inputsPerGroup, outputsPerGroup } = channels
  const swapped = c.weightOutputAxis !== 0
  return {
    taps,
    start: (o, i) => {
      const row = c.grouped === 'input' ? o : o % outputsPerGroup
      const column = c.grouped === 'input' ? i % inputsPerGroup : i
      return (swapped ? column * second + row : row * second + column) * taps
    },
  }
}

/** Factors on the channels of a weight, counted over all groups; those not given are 1. */
export interface Factors {
  readonly outputs?: Float64Array
  readonly inputs?: Float64Array
}

/** Whether a number is normal and finite in its type, so that rounding takes no more than its last place. */
export const isPlain = (x: number, { normal, largest }: Precision): boolean => {
  const size = Math.abs(x)
  return size >= normal && size <= largest
}

export const isHeldSmall: Refusal = 'its weight is held as smaller numbers, which cannot hold others'

/**
 * The weight with every block `W[o, i]` multiplied by `outputs[o] · inputs[i]`, in double and rounded once. Refused where
 * a product is not finite or loses digits, and where outputs grow so much that a sum might overflow.
 */
export const scaleWeight = (weight: Tensor, c: Contraction, factors: Factors): E.Either<Refusal, Tensor> => {
  invariant(isFloat(weight.dtype), `a weight of ${weight.dtype}`)
  if (weight.tag === 'Held') return E.left(isHeldSmall)
  const channels = channelsOf(weight, c)
  const refusal = scalingRefused(weight, c, channels, factors)
  if (refusal !== undefined) return E.left(refusal)
  const second = Math.max(1, weight.shape[1] ?? 1)
  const taps = Math.max(1, sizeOf(weight.shape.slice(2)))
  const factorAt = (index: number): number => {
    const block = Math.floor(index / taps)
    const [a, b] = [Math.floor(block / second), block % second]
    const [o, i] = c.weightOutputAxis === 0 ? channelsAt(c, channels, a, b) : channelsAt(c, channels, b, a)
    return (factors.outputs?.[o] ?? 1) * (factors.inputs?.[i] ?? 1)
  }
  const scale = (values: Float32Array | Float64Array, first: number): void => {
    forEachRow(weight, c, channels, first, values.length, ({ outputs, inputs }, begin, taps) => {
      let k = begin
      for (let b = 0; b < outputs.length; b++) {
        const factor = (factors.outputs?.[outputs[b] ?? 0] ?? 1) * (factors.inputs?.[inputs[b] ?? 0] ?? 1)
        for (const end = k + taps; k < end; k++) values[k] = (values[k] ?? NaN) * factor
      }
    })
  }
  const scaled = editElements(weight, scale, (value, index) => value * factorAt(index))
  if (!factors.outputs?.includes(0) && !factors.inputs?.includes(0)) keepBlocks(weight, scaled)
  noteExtremes(weight, scaled, extremesOfFactors(factors))
  if (factors.inputs === undefined) scaledFrom.set(scaled, { weight, side: 'outputs' })
  else if (factors.outputs === undefined) scaledFrom.set(scaled, { weight, side: 'inputs' })
  return E.right(scaled)
}

/** A weight whose outputs, or inputs, were each multiplied by a number, which made another weight. */
export interface ScaledFrom {
  readonly weight: Tensor
  readonly side: 'outputs' | 'inputs'
}

const scaledFrom = new WeakMap<Tensor, ScaledFrom>()

/** What {@link scaleWeight} has made a weight of, where it scaled one side only. */
export const scaledFromOf = (weight: Tensor): ScaledFrom | undefined => scaledFrom.get(weight)

/** The output and the input, counted over all groups, of a row and a column of the weight. */
export const channelsAt = (
  { grouped }: Contraction,
  { inputsPerGroup, outputsPerGroup }: Channels,
  row: number,
  column: number,
): readonly [number, number] =>
  grouped === 'input'
    ? [row, Math.floor(row / outputsPerGroup) * inputsPerGroup + column]
    : [Math.floor(column / inputsPerGroup) * outputsPerGroup + row, column]

/**
 * Why a weight must not be scaled; undefined where it may be. For most weights their extremes answer; where they do not, outputs are
 * looked at one by one, and the first that is refused is told.
 */
const scalingRefused = (weight: Tensor, c: Contraction, channels: Channels, factors: Factors): Refusal | undefined => {
  const precision = precisionOf(weight.dtype)
  const [{ least, largest }, by] = [extremesOf(weight), extremesOfFactors(factors)]
  // More than what rounding, of the bounds as well, may take.
  const slack = 1 + 2 ** -6
  const isPlainlyScaled =
    least * by.least >= precision.normal * slack && largest * by.largest * slack <= precision.largest
  const mayOverflow = factors.outputs?.some((factor) => Math.abs(factor) > growthLimit(precision)) === true
  return isPlainlyScaled && !mayOverflow ? undefined : firstRefused(weight, c, channels, factors)
}

/** Of the products of a factor of an output and one of an input. */
const extremesOfFactors = ({ outputs, inputs }: Factors): Extremes => {
  const of = (factors: Float64Array | undefined): Extremes => {
    const sizes = (factors ?? Float64Array.of(1)).map(Math.abs)
    const least = sizes.reduce((low, size) => (size === 0 ? low : Math.min(low, size)), Infinity)
    return { least, largest: sizes.reduce((high, size) => Math.max(high, size), 0) }
  }
  const [a, b] = [of(outputs), of(inputs)]
  return { least: a.least * b.least, largest: a.largest * b.largest }
}

const firstRefused = (weight: Tensor, c: Contraction, channels: Channels, factors: Factors): Refusal | undefined => {
  const precision = precisionOf(weight.dtype)
  const { inputsPerGroup, outputsPerGroup } = channels
  const { taps, start } = layoutOf(weight.shape, c, channels)
  const at = elementReader(weight)
  const limit = growthLimit(precision)
  for (let o = 0; o < channels.outputs; o++) {
    const byOutput = factors.outputs?.[o] ?? 1
    const first = Math.floor(o / outputsPerGroup) * inputsPerGroup
    let sum = 0
    for (let i = first; i < first + inputsPerGroup; i++) {
      const factor = byOutput * (factors.inputs?.[i] ?? 1)
      const begin = start(o, i)
      for (let k = begin; k < begin + taps; k++) {
        const w = at(k)
        const product = w * factor
        sum += Math.abs(product)
        if (isPlain(product, precision) || w === 0) continue
        const size = Math.abs(factor) * Math.max(Math.abs(w), precision.normal)
        const lost = product === 0 && factor !== 0
        if (lost || !fits(precision, product, size)) {
          return `a weight ${w} times ${factor} has no ${weight.dtype} as exact as it was`
        }
      }
    }
    if (Math.abs(byOutput) > limit && sum > 1) return `the factor ${byOutput} might overflow before sums cancel`
  }
  return undefined
}

/** Output and input channels, counted over all groups, of the blocks of one index along axis 0 of a weight. */
interface RowChannels {
  readonly outputs: Int32Array
  readonly inputs: Int32Array
}

/**
 * Calls `visit` for the indices along axis 0 of a weight from `first` on, whose elements `length` says, with the channels of their
 * blocks, the place of their first element among these, and the elements of a block.
 */
const forEachRow = (
  { shape }: TensorShape,
  c: Contraction,
  channels: Channels,
  first: number,
  length: number,
  visit: (row: RowChannels, begin: number, taps: number) => void,
): void => {
  const taps = sizeOf(shape.slice(2))
  const second = shape[1] ?? 0
  const [outputs, inputs] = [new Int32Array(second), new Int32Array(second)]
  const [ofRow, ofColumn] = c.weightOutputAxis === 0 ? [outputs, inputs] : [inputs, outputs]
  if (c.groups === 1) ofColumn.forEach((_, b) => (ofColumn[b] = b))
  const size = second * taps
  for (let row = first, begin = 0; begin < length; row++, begin += size) {
    if (c.groups === 1) ofRow.fill(row)
    else {
      for (let b = 0; b < second; b++) {
        const [o, i] = c.weightOutputAxis === 0 ? channelsAt(c, channels, row, b) : channelsAt(c, channels, b, row)
        ;[outputs[b], inputs[b]] = [o, i]
      }
    }
    visit({ outputs, inputs }, begin, taps)
  }
}

/** Calls `visit` with the output row, the input column and the place of each block in some rows of a weight. */
export const forEachBlock = (
  { shape }: Tensor,
  { weightOutputAxis }: Contraction,
  first: number,
  length: number,
  visit: (row: number, column: number, begin: number, taps: number) => void,
): void => {
  const taps = sizeOf(shape.slice(2))
  const second = shape[1] ?? 0
  const blocks = taps === 0 ? 0 : length / taps
  for (let at = 0; at < blocks; at++) {
    const [a, b] = [first + Math.floor(at / second), at % second]
    if (weightOutputAxis === 0) visit(a, b, at * taps, taps)
    else visit(b, a, at * taps, taps)
  }
}

/** Changes the block of each output row and input column of the weight, `taps` elements from `begin` on, in place. */
export const editBlocks = (
  weight: Tensor,
  c: Contraction,
  edit: (row: number, column: number, values: Float32Array | Float64Array, begin: number, taps: number) => void,
): Tensor =>
  editElements(weight, (values, first) => {
    forEachBlock(weight, c, first, values.length, (row, column, begin, taps) => {
      edit(row, column, values, begin, taps)
    })
  })

const sums = new WeakMap<Tensor, Map<string, Float64Array>>()

/** Σ|W[o, i, ...]| of each output. Remembered; not to be written to. */
export const rowSums = (r: Reads): Float64Array => {
  const { weightOutputAxis, groups, grouped } = r.contraction
  const known = sums.get(r.weight) ?? new Map<string, Float64Array>()
  sums.set(r.weight, known)
  const key = [weightOutputAxis, groups, grouped].join(' ')
  const found = known.get(key) ?? sumRows(r)
  known.set(key, found)
  return found
}

const sumRows = (r: Reads): Float64Array => {
  const out = new Float64Array(r.outputs)
  const { groups, weightOutputAxis } = r.contraction
  const [, second = 0, ...taps] = r.weight.shape
  for (const { first, values } of scan(r.weight)) {
    if (groups === 1 && weightOutputAxis === 0) addRows(out, first, values, second * sizeOf(taps))
    else if (groups === 1 && sizeOf(taps) === 1) addColumns(out, values)
    else addBlocks(out, r, first, values)
  }
  return out
}

/** Adds the size of all elements of a row to the number of that row, from row `first` on. */
const addRows = (out: Float64Array, first: number, values: Float32Array | Float64Array, size: number): void => {
  for (let row = first, k = 0; k < values.length; row++) {
    let sum = out[row] ?? 0
    for (const end = k + size; k < end; k++) sum += Math.abs(values[k] ?? NaN)
    out[row] = sum
  }
}

const addColumns = (out: Float64Array, values: Float32Array | Float64Array): void => {
  for (let begin = 0; begin < values.length; begin += out.length) {
    for (let column = 0; column < out.length; column++)
      out[column] = (out[column] ?? 0) + Math.abs(values[begin + column] ?? NaN)
  }
}

const addBlocks = (out: Float64Array, r: Reads, first: number, values: Float32Array | Float64Array): void => {
  forEachRow(r.weight, r.contraction, r, first, values.length, ({ outputs }, begin, taps) => {
    for (let b = 0, k = begin; b < outputs.length; b++) {
      const o = outputs[b] ?? 0
      let sum = out[o] ?? 0
      for (const end = k + taps; k < end; k++) sum += Math.abs(values[k] ?? NaN)
      out[o] = sum
    }
  })
}

/** Weight of output `output` for channel `from`, times `factor`, to be added to that for channel `to`. */
export interface Carried {
  readonly output: number
  readonly from: number
  readonly to: number
  readonly factor: number
}

/**
 * Block `W[o, to] + Σ factor · W[o, from]` of what one output carries, all onto the same channel; undefined where an
 * element of it is not finite or loses digits. `at` reads elements of the weight.
 */
export const carriedBlock = (
  r: Reads,
  at: (element: number) => number,
  carried: ReadonlyArray<Carried>,
): Float64Array | undefined => {
  const [one] = carried
  if (one === undefined) return undefined
  const { taps, start } = layoutOf(r.weight.shape, r.contraction, r)
  const precision = precisionOf(r.weight.dtype)
  const out = new Float64Array(taps)
  for (let k = 0; k < taps; k++) {
    let sum = at(start(one.output, one.to) + k)
    let size = Math.abs(sum)
    for (const { output, from, factor } of carried) {
      const term = factor * at(start(output, from) + k)
      sum += term
      size += Math.abs(term)
    }
    if (!fits(precision, sum, size)) return undefined
    out[k] = sum
  }
  return out
}

/** `Σ|W[o, i, ...]|` over the elements of one block. */
export const blockSize = (r: Reads, at: (element: number) => number, o: number, i: number): number => {
  const { taps, start } = layoutOf(r.weight.shape, r.contraction, r)
  const first = start(o, i)
  let sum = 0
  for (let k = first; k < first + taps; k++) sum += Math.abs(at(k))
  return sum
}

export interface Selection {
  /** Channels kept, ascending. */
  readonly inputs: Int32Array
  readonly outputs: Int32Array
  /** Whether a channel is written as zeros: it is kept, but nothing needs it. */
  readonly isZeroInput?: (input: number) => boolean
  readonly isZeroOutput: (output: number) => boolean
  readonly carried: ReadonlyArray<Carried>
}

export interface Selected {
  readonly weight: Tensor
  readonly groups: number
}

/** The weight of the channels that are kept; a view where nothing else changes. */
export const selectWeight = (r: Reads, selection: Selection, label: string): Selected =>
  r.contraction.groups === 1 ? selectWhole(r, selection) : selectGroups(r, selection, label)

/** What outputs carry, by output. */
const byOutputOf = (carried: ReadonlyArray<Carried>): ReadonlyMap<number, ReadonlyArray<Carried>> => {
  const out = new Map<number, Carried[]>()
  for (const one of carried) {
    const known = out.get(one.output)
    if (known === undefined) out.set(one.output, [one])
    else known.push(one)
  }
  return out
}

const selectWhole = (r: Reads, { inputs, outputs, isZeroInput, isZeroOutput, carried }: Selection): Selected => {
  const c = r.contraction
  const kept = gather(gather(r.weight, c.weightOutputAxis, outputs), c.weightInputAxis, inputs)
  const zeroRows = Uint8Array.from(outputs, (o) => (isZeroOutput(o) ? 1 : 0))
  const zeroColumns = Uint8Array.from(inputs, (i) => (isZeroInput?.(i) === true ? 1 : 0))
  if (carried.length === 0 && !zeroRows.includes(1) && !zeroColumns.includes(1)) return { weight: kept, groups: 1 }
  const valueAt = carried.length === 0 ? () => NaN : elementReader(r.weight)
  const owed = byOutputOf(carried)
  const carriers = Array.from(outputs, (o, row) => {
    const ofOutput = zeroRows[row] === 1 ? undefined : owed.get(o)
    return ofOutput && { to: ofOutput[0]?.to, block: carriedBlock(r, valueAt, ofOutput) }
  })
  const weight = editBlocks(kept, c, (row, column, values, begin, taps) => {
    const carrier = carriers[row]
    if (zeroRows[row] === 1 || zeroColumns[column] === 1) values.fill(0, begin, begin + taps)
    else if (carrier?.block !== undefined && carrier.to === inputs[column]) values.set(carrier.block, begin)
  })
  return { weight, groups: 1 }
}

const selectGroups = (r: Reads, selection: Selection, label: string): Selected => {
  const { inputs, outputs, isZeroInput, isZeroOutput, carried } = selection
  const c = r.contraction
  const [keptIn, keptOut] = [marksOf(r.inputs, inputs), marksOf(r.outputs, outputs)]
  const plan = planGroups(r, c.groups, { input: keptIn, output: keptOut })
  invariant(
    plan.backInputs.length + plan.backOutputs.length === 0,
    `${label}: kept channels do not fall into groups of one size`,
  )
  const groups = plan.groups.length
  const channels: Channels = {
    inputs: inputs.length,
    outputs: outputs.length,
    inputsPerGroup: inputs.length / groups,
    outputsPerGroup: outputs.length / groups,
  }
  const shape = r.weight.shape.map((d, a) => {
    if (a === c.weightOutputAxis) return c.grouped === 'output' ? channels.outputsPerGroup : channels.outputs
    return a === c.weightInputAxis ? (c.grouped === 'input' ? channels.inputsPerGroup : channels.inputs) : d
  })
  const [from, to] = [layoutOf(r.weight.shape, c, r), layoutOf(shape, c, channels)]
  const held = r.weight.tag === 'Held' ? r.weight : undefined
  // What is held is moved as it is stored; the rows of a weight that is grouped so are its outputs.
  const stored = held?.stored ?? r.weight
  const [scale, zero] = [held?.scale, held?.zero].map((part) =>
    part !== undefined && sizeOf(part.shape) > 1 && held?.axis === c.weightOutputAxis ? gather(part, 0, outputs) : part,
  )
  const valueAt = elementReader(stored)
  const result = elementBuffer(stored.dtype, sizeOf(shape))
  if (zero !== undefined) {
    const zeros = elements(zero)
    const row = sizeOf(shape.slice(1))
    result.forEach((_, k) => {
      result[k] = Number(zeros[zeros.length === 1 ? 0 : Math.floor(k / row)])
    })
  }
  const byOutput = byOutputOf(carried)
  for (let at = 0; at < outputs.length; at++) {
    const o = outputs[at] ?? 0
    if (isZeroOutput(o)) continue
    const owed = byOutput.get(o)
    const block = owed && carriedBlock(r, valueAt, owed)
    const [firstOld, endOld] = r.inputsOf(o)
    const first = Math.floor(at / channels.outputsPerGroup) * channels.inputsPerGroup
    for (let j = first; j < first + channels.inputsPerGroup; j++) {
      const i = inputs[j] ?? 0
      if (i < firstOld || i >= endOld || isZeroInput?.(i) === true) continue
      const [source, target] = [from.start(o, i), to.start(at, j)]
      const carries = block !== undefined && owed?.[0]?.to === i
      for (let k = 0; k < from.taps; k++) {
        result[target + k] = carries ? (block[k] ?? NaN) : valueAt(source + k)
      }
    }
  }
  const weight = tensorOf(stored.dtype, shape, result)
  return { weight: held === undefined ? weight : { ...held, shape, stored: weight, scale, zero }, groups }
}

/** 1 for each index that is kept. */
export const marksOf = (length: number, kept: Int32Array): Uint8Array => {
  const out = new Uint8Array(length)
  for (const i of kept) out[i] = 1
  return out
}
