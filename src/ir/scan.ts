/** Looks at all numbers of a constant tensor, piece by piece, so that it is never in memory as a whole. */
import { numbersOf } from './evaluate.ts'
import { precisionOf } from './numerics.ts'
import { pieces, type Tensor } from './tensor.ts'
import { sizeOf } from './type.ts'

/** Bytes that are looked at at once, where rows are not longer. */
const scannedBytes = 2 ** 20

/** The numbers of some rows of a tensor: indices along axis 0 from `first` to before `end`. */
export interface ScannedRows {
  readonly first: number
  readonly end: number
  /** Not to be written to, nor to be looked at when the next rows have been asked for. */
  readonly values: Float32Array | Float64Array
}

/** All rows of a tensor in order. */
export function* scan(tensor: Tensor): Iterable<ScannedRows> {
  let copy = new Float32Array()
  for (const { first, rows } of pieces(tensor, scannedBytes)) {
    const { bytes, dtype, shape } = rows
    const end = first + (shape[0] ?? 1)
    if (dtype === 'float32' && bytes.byteOffset % 4 !== 0) {
      const size = sizeOf(shape)
      if (copy.length < size) copy = new Float32Array(size)
      new Uint8Array(copy.buffer).set(bytes)
      yield { first, end, values: copy.subarray(0, size) }
    } else yield { first, end, values: numbersOf(rows) }
  }
}

/** Between what the magnitudes of numbers are. */
export interface Extremes {
  /** No number but zero is below it. */
  readonly least: number
  /** No number is above it; Infinity where one is none. */
  readonly largest: number
}

const known = new WeakMap<Tensor, Extremes>()

/** Tensors that were found to hold no zero. */
const full = new WeakSet<Tensor>()

/** Whether no number of a tensor is zero, as far as a scan for its extremes has told. */
export const isKnownFull = (tensor: Tensor): boolean => full.has(tensor)

const noted = new WeakMap<Tensor, { readonly from: Tensor; readonly factors: Extremes }>()

/**
 * Notes that the numbers of `to` are zero, or those of `from` times something of a magnitude between `factors`: it need not be
 * scanned for its extremes.
 */
export const noteExtremes = (from: Tensor, to: Tensor, factors: Extremes = { least: 1, largest: 1 }): void => {
  noted.set(to, { from, factors })
}

/** Bounds of the magnitudes in a tensor of floats; of a selection those of all. Remembered. */
export const extremesOf = (tensor: Tensor): Extremes => {
  const found = known.get(tensor) ?? notedExtremes(tensor) ?? scanExtremes(tensor)
  known.set(tensor, found)
  return found
}

/** What the rounding of a normal number takes of it, or adds to it, at most; and what the bounds may be off by. */
const rounding = 2 ** -6

/** Undefined where nothing is noted, or where numbers may have been rounded to subnormal ones. */
const notedExtremes = (tensor: Tensor): Extremes | undefined => {
  if (tensor.tag === 'Gather') return extremesOf(tensor.source)
  const note = noted.get(tensor)
  if (note === undefined) return undefined
  const { least, largest } = extremesOf(note.from)
  const { factors } = note
  const bounds = {
    least: least * factors.least * (1 - rounding),
    largest: largest * factors.largest * (1 + rounding),
  }
  return bounds.least >= precisionOf(tensor.dtype).normal ? bounds : undefined
}

const scanExtremes = (tensor: Tensor): Extremes => {
  let least = Infinity
  let largest = 0
  let isFull = true
  for (const { values } of scan(tensor)) {
    for (let k = 0; k < values.length; k++) {
      const size = Math.abs(values[k] ?? NaN)
      if (!(size <= largest)) largest = Number.isNaN(size) ? Infinity : size
      if (size < least) {
        if (size === 0) isFull = false
        else least = size
      }
    }
  }
  if (isFull && least < Infinity) full.add(tensor)
  return { least, largest }
}
