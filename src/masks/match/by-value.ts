/**
 * Finding parameters by what they hold. Given the weights that the masks belong to, a constant tells by its numbers which of
 * them it is and how its axes lie: equal, in another order of axes or rows, as a part, or scaled for each output channel as
 * folding a normalisation leaves it.
 */
import { numbersOf, stridesOf } from '../../ir/evaluate.ts'
import { bitsOf, type DType } from '../../ir/dtype.ts'
import { type Dense, materialize, type Tensor } from '../../ir/tensor.ts'
import { permuted } from './layout.ts'
import type { Layout, LayoutKind, Region } from './region.ts'
import type { Slot } from './slots.ts'

type Values = Float32Array | Float64Array

/** A tensor seen as rows: where each starts, and where its elements are behind that. */
interface Rows {
  readonly values: Values
  readonly starts: Int32Array
  /** Element `k` of a row is at its start plus `within[k]`. */
  readonly within: Int32Array
  readonly shape: ReadonlyArray<number>
  readonly strides: ReadonlyArray<number>
  readonly rowStride: number
}

/** How far a product of two rounded numbers is from a third: a few units in the last place of the constant's type. */
const toleranceOf = (dtype: DType): number =>
  dtype === 'float64' || dtype === 'float32' ? 2e-5 : bitsOf(dtype) === 16 ? (dtype === 'float16' ? 2e-3 : 2e-2) : 0

/** Rows of fewer elements say too little to be found anywhere but in their place. */
const shortestRow = 4

interface Axis {
  readonly size: number
  readonly stride: number
}

const axesOf = (shape: ReadonlyArray<number>): ReadonlyArray<Axis> => {
  const strides = stridesOf(shape)
  return shape.map((size, a) => ({ size, stride: strides[a] ?? 1 }))
}

const rowsOf = (values: Values, row: Axis, rest: ReadonlyArray<Axis>): Rows => {
  const starts = Int32Array.from({ length: row.size }, (_, i) => i * row.stride)
  let within = Int32Array.of(0)
  for (const { size, stride } of rest) {
    const next = new Int32Array(within.length * size)
    for (let i = 0; i < within.length; i++) {
      for (let k = 0; k < size; k++) next[i * size + k] = (within[i] ?? 0) + k * stride
    }
    within = next
  }
  const [shape, strides] = [rest.map((axis) => axis.size), rest.map((axis) => axis.stride)]
  return { values, starts, within, shape, strides, rowStride: row.stride }
}

/** The place of the largest magnitude in a row, which scaling does not move; -1 for a row of zeros. */
const peakOf = ({ values, starts, within }: Rows, row: number): number => {
  const start = starts[row] ?? 0
  let [peak, most] = [-1, 0]
  for (let k = 0; k < within.length; k++) {
    const size = Math.abs(values[start + (within[k] ?? 0)] ?? 0)
    if (size > most) [peak, most] = [k, size]
  }
  return peak
}

/** Whether row `b` of `big` is row `a` of `small` times some number other than 0. */
const proportional = (small: Rows, a: number, big: Rows, b: number, peak: number, tolerance: number): boolean => {
  const [from, to] = [small.starts[a] ?? 0, big.starts[b] ?? 0]
  const at = (rows: Rows, start: number, k: number): number => rows.values[start + (rows.within[k] ?? 0)] ?? 0
  const largest = at(big, to, peak)
  const factor = largest / at(small, from, peak)
  const allowed = tolerance * Math.abs(largest)
  for (let k = 0; k < small.within.length; k++) {
    if (!(Math.abs(at(big, to, k) - factor * at(small, from, k)) <= allowed)) return false
  }
  return true
}

/** For each row of `small` the row of `big` that it is, up to a factor; undefined where one is missing or could be several. */
const findRows = (small: Rows, big: Rows, tolerance: number): Int32Array | undefined => {
  const [count, total] = [small.starts.length, big.starts.length]
  const buckets = new Map<number, number[]>()
  for (let row = 0; row < total; row++) {
    const peak = peakOf(big, row)
    const known = buckets.get(peak)
    if (known) known.push(row)
    else buckets.set(peak, [row])
  }
  const found = new Int32Array(count).fill(-1)
  const empty: number[] = []
  for (let row = 0; row < count; row++) {
    const peak = peakOf(small, row)
    if (peak < 0) {
      empty.push(row)
      continue
    }
    const fits = (buckets.get(peak) ?? []).filter((other) => proportional(small, row, big, other, peak, tolerance))
    const next = row > 0 ? (found[row - 1] ?? -1) + 1 : row
    const [only] = fits
    if (only === undefined) return undefined
    if (fits.length > 1 && !fits.includes(next)) return undefined
    found[row] = fits.length === 1 ? only : next
  }
  if (empty.length === count) return undefined
  return placeEmpty(found, empty, big) && new Set(found).size === count ? found : undefined
}

/** Rows of zeros belong behind or before their neighbours, where there are zeros too. */
const placeEmpty = (found: Int32Array, empty: ReadonlyArray<number>, big: Rows): boolean => {
  for (const row of empty) if (row > 0 && (found[row - 1] ?? -1) >= 0) found[row] = (found[row - 1] ?? 0) + 1
  for (const row of empty.toReversed()) {
    if (found[row] === -1 && (found[row + 1] ?? -1) > 0) found[row] = (found[row + 1] ?? 0) - 1
  }
  const taken = new Set<number>()
  for (const [row, place] of found.entries()) {
    if (place < 0 || place >= big.starts.length || taken.has(place)) return false
    if (empty.includes(row) && peakOf(big, place) >= 0) return false
    taken.add(place)
  }
  return true
}

/** Quick refusal: a few rows of the smaller side, each of which must be somewhere in the other. */
const probed = 3

const mayHold = (small: Rows, big: Rows, tolerance: number): boolean => {
  const count = small.starts.length
  let looked = 0
  for (let row = 0; row < count && looked < probed; row += Math.max(1, Math.floor(count / probed))) {
    const peak = peakOf(small, row)
    if (peak < 0) continue
    looked++
    let any = false
    for (let other = 0; other < big.starts.length && !any; other++) {
      any = proportional(small, row, big, other, peak, tolerance)
    }
    if (!any) return false
  }
  return true
}

/** The regions of rows that follow each other on both sides. `place[r]` is the row of the constant that row `r` is. */
const regionsOf = (target: Rows, source: Rows, pairs: ReadonlyArray<readonly [to: number, from: number]>): Region[] => {
  const regions: Region[] = []
  let start = 0
  for (let i = 1; i <= pairs.length; i++) {
    const [first, before, now] = [pairs[start], pairs[i - 1], pairs[i]]
    if (first === undefined || before === undefined) break
    if (now !== undefined && now[0] === before[0] + 1 && now[1] === before[1] + 1) continue
    regions.push({
      shape: [i - start, ...target.shape],
      to: { offset: target.starts[first[0]] ?? 0, strides: [target.rowStride, ...target.strides] },
      from: { offset: source.starts[first[1]] ?? 0, strides: [source.rowStride, ...source.strides] },
    })
    start = i
  }
  return regions
}

/** All orders of `axes` in which their sizes are `sizes`. */
function* orders(axes: ReadonlyArray<Axis>, sizes: ReadonlyArray<number>): Iterable<ReadonlyArray<Axis>> {
  const [size, ...others] = sizes
  if (size === undefined) {
    if (axes.length === 0) yield []
    return
  }
  for (const axis of axes) {
    if (axis.size !== size) continue
    for (const tail of orders(
      axes.filter((other) => other !== axis),
      others,
    )) {
      yield [axis, ...tail]
    }
  }
}

/** The axis of a slot along which scales differ: its output channels. Both axes of rows of a recurrence are one. */
const rowAxis = (slot: Slot): { readonly row: Axis; readonly rest: ReadonlyArray<Axis> } | undefined => {
  const axes = axesOf(slot.tensor.shape)
  const at = slot.layer?.contraction.weightOutputAxis ?? (slot.tensor.shape.length === 3 ? undefined : 0)
  if (at === undefined) {
    const [first, second, ...rest] = axes
    if (first === undefined || second === undefined) return undefined
    return { row: { size: first.size * second.size, stride: second.stride }, rest }
  }
  const row = axes[at]
  return row === undefined ? undefined : { row, rest: axes.filter((_, a) => a !== at) }
}

export interface ValueMatch {
  readonly layout: Layout
  /** Elements of the given tensor that the constant holds. */
  readonly covered: number
}

/**
 * Every way in which the weight `source` lies on a slot by its numbers. More than one only where it is symmetric. `covered` is
 * less than its size where the slot holds a part of it.
 */
export const layoutsByValue = (
  source: Dense,
  slot: Slot,
  valuesOf: (tensor: Tensor) => Values,
): ReadonlyArray<ValueMatch> => {
  if (source.shape.filter((d) => d > 1).length < 2) return vectorByValue(source, slot, valuesOf)
  const target = rowAxis(slot)
  if (target === undefined) return []
  const tolerance = Math.max(toleranceOf(slot.tensor.dtype), toleranceOf(source.dtype))
  const targetRest = target.rest.filter(({ size }) => size > 1)
  const sizes = targetRest.map(({ size }) => size)
  const out: ValueMatch[] = []
  const axes = axesOf(source.shape)
  const beyondOne = axes.filter(({ size }) => size > 1)
  // A weight of one output channel has its row axis among those of size 1.
  const rowCandidates = [...beyondOne, ...(axes.length > beyondOne.length ? [{ size: 1, stride: 0 }] : [])]
  let to: Rows | undefined
  for (const row of rowCandidates) {
    const rest = beyondOne.filter((axis) => axis !== row)
    if (rest.length !== sizes.length || sizes.reduce((n, d) => n * d, 1) < shortestRow) continue
    for (const order of orders(rest, sizes)) {
      to ??= rowsOf(valuesOf(slot.tensor), target.row, targetRest)
      const from = rowsOf(valuesOf(source), row, order)
      const match = matchRows(from, to, tolerance, kindOf(source.shape, slot, row, order))
      if (match !== undefined) out.push(match)
    }
  }
  return out
}

const matchRows = (from: Rows, to: Rows, tolerance: number, kind: LayoutKind): ValueMatch | undefined => {
  const part = from.starts.length > to.starts.length
  const [small, big] = part ? [to, from] : [from, to]
  if (!mayHold(small, big, tolerance)) return undefined
  const found = findRows(small, big, tolerance)
  if (found === undefined) return undefined
  const pairs = Array.from(found, (other, row) => (part ? ([row, other] as const) : ([other, row] as const)))
  pairs.sort((a, b) => a[0] - b[0])
  const whole = pairs.length === to.starts.length && pairs.every(([a, b]) => a === b)
  const [first, last] = [pairs[0]?.[0] ?? 0, pairs.at(-1)?.[0] ?? 0]
  const text = whole ? {} : { text: `output channels ${first} to ${last} of ${to.starts.length}` }
  return {
    layout: { kind: whole ? kind : 'rows', ...text, regions: regionsOf(to, from, pairs) },
    covered: pairs.length * to.within.length,
  }
}

const kindOf = (shape: ReadonlyArray<number>, slot: Slot, row: Axis, order: ReadonlyArray<Axis>): LayoutKind => {
  const strides = stridesOf(shape)
  const axes = [row, ...order].map(({ stride }) => strides.indexOf(stride))
  const ascending = axes.every((axis, i) => i === 0 || axis > (axes[i - 1] ?? 0))
  const outputs = slot.layer?.contraction.weightOutputAxis ?? 0
  if (ascending) return outputs === 0 ? 'same' : 'transposed'
  return shape.length === 2 ? (outputs === 0 ? 'transposed' : 'same') : 'permuted'
}

/** Vectors (biases, scales) are found where they are equal to the last bit, and not all the same number. */
const vectorByValue = (source: Dense, slot: Slot, valuesOf: (tensor: Tensor) => Values): ReadonlyArray<ValueMatch> => {
  const [wanted, found] = [valuesOf(source), valuesOf(slot.tensor)]
  if (wanted.length !== found.length || wanted.length < shortestRow) return []
  if (!wanted.every((x, i) => x === found[i]) || wanted.every((x) => x === wanted[0])) return []
  const layout = permuted([wanted.length], [wanted.length], [0], 'same')
  return layout === undefined ? [] : [{ layout, covered: wanted.length }]
}

/** Reads each tensor once. */
export const cachedValues = (): ((tensor: Tensor) => Values) => {
  const known = new Map<Tensor, Values>()
  return (tensor) => {
    const values = known.get(tensor) ?? numbersOf(materialize(tensor))
    known.set(tensor, values)
    return values
  }
}
