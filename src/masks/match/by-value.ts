/**
 * Finding parameters by what they hold. Given the weights that the masks belong to, a constant tells by its numbers which of
 * them it is and how its axes lie: equal, in another order of axes or rows, as a part, or scaled for each output channel as
 * folding a normalisation leaves it.
 */
import { numbersOf, stridesOf } from '../../ir/evaluate.ts'
import { bitsOf, type DType } from '../../ir/dtype.ts'
import { type Dense, materialize, type Tensor } from '../../ir/tensor.ts'
import type { Layout, LayoutKind, Region } from './region.ts'
import { isRecurrent, type Slot } from './slots.ts'

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

/** How many more numbers than factors must agree before scaled rows count as the same. */
const leastAgreement = 8

/** Rows of fewer elements are found up to a factor in their own order only: in another they would agree too easily. */
const shortestFreeRow = 4

/** Whether rows are looked for up to a factor each, or equal: too few numbers would agree by some factor anyhow. */
const isScalable = (rows: number, length: number): boolean => rows * (length - 1) >= leastAgreement

interface Axis {
  readonly size: number
  readonly stride: number
}

/** The axis of rows: where each starts. `axis` is that of the tensor, undefined where several make it up. */
interface RowAxis {
  readonly starts: Int32Array
  readonly stride: number
  readonly axis: number | undefined
}

const stridedAxes = (shape: ReadonlyArray<number>): ReadonlyArray<Axis> => {
  const strides = stridesOf(shape)
  return shape.map((size, a) => ({ size, stride: strides[a] ?? 1 }))
}

const alongAxis = ({ size, stride }: Axis, axis: number | undefined): RowAxis => ({
  starts: Int32Array.from({ length: size }, (_, i) => i * stride),
  stride,
  axis,
})

const rowsOf = (values: Values, { starts, stride: rowStride }: RowAxis, rest: ReadonlyArray<Axis>): Rows => {
  let within = Int32Array.of(0)
  for (const { size, stride } of rest) {
    const next = new Int32Array(within.length * size)
    for (let i = 0; i < within.length; i++) {
      for (let k = 0; k < size; k++) next[i * size + k] = (within[i] ?? 0) + k * stride
    }
    within = next
  }
  const [shape, strides] = [rest.map((axis) => axis.size), rest.map((axis) => axis.stride)]
  return { values, starts, within, shape, strides, rowStride }
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

interface Comparison {
  readonly tolerance: number
  readonly scaled: boolean
}

/** Whether row `b` of `big` is row `a` of `small` times some number other than 0. */
const proportional = (
  small: Rows,
  a: number,
  big: Rows,
  b: number,
  peak: number,
  { tolerance, scaled }: Comparison,
): boolean => {
  const [from, to] = [small.starts[a] ?? 0, big.starts[b] ?? 0]
  const at = (rows: Rows, start: number, k: number): number => rows.values[start + (rows.within[k] ?? 0)] ?? 0
  const largest = at(big, to, peak)
  const factor = scaled ? largest / at(small, from, peak) : 1
  const allowed = tolerance * Math.abs(largest)
  for (let k = 0; k < small.within.length; k++) {
    if (!(Math.abs(at(big, to, k) - factor * at(small, from, k)) <= allowed)) return false
  }
  return true
}

/** For each row of `small` the row of `big` that it is, up to a factor; undefined where one is missing or could be several. */
const findRows = (small: Rows, big: Rows, how: Comparison): Int32Array | undefined => {
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
    const fits = (buckets.get(peak) ?? []).filter((other) => proportional(small, row, big, other, peak, how))
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

const mayHold = (small: Rows, big: Rows, how: Comparison): boolean => {
  const count = small.starts.length
  let looked = 0
  for (let row = 0; row < count && looked < probed; row += Math.max(1, Math.floor(count / probed))) {
    const peak = peakOf(small, row)
    if (peak < 0) continue
    looked++
    let any = false
    for (let other = 0; other < big.starts.length && !any; other++) {
      any = proportional(small, row, big, other, peak, how)
    }
    if (!any) return false
  }
  return true
}

/** The regions of rows that follow each other on both sides. */
const regionsOf = (target: Rows, source: Rows, pairs: ReadonlyArray<readonly [to: number, from: number]>): Region[] => {
  const regions: Region[] = []
  let start = 0
  for (let i = 1; i <= pairs.length; i++) {
    const [first, before, now] = [pairs[start], pairs[i - 1], pairs[i]]
    if (first === undefined || before === undefined) break
    if (now !== undefined && follows(target, before[0], now[0]) && follows(source, before[1], now[1])) continue
    regions.push({
      shape: [i - start, ...target.shape],
      to: { offset: target.starts[first[0]] ?? 0, strides: [target.rowStride, ...target.strides] },
      from: { offset: source.starts[first[1]] ?? 0, strides: [source.rowStride, ...source.strides] },
    })
    start = i
  }
  return regions
}

const follows = ({ starts, rowStride }: Rows, row: number, next: number): boolean =>
  next === row + 1 && starts[next] === (starts[row] ?? 0) + rowStride

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

interface TargetRows {
  readonly row: RowAxis
  readonly rest: ReadonlyArray<Axis>
}

/** The rows of a slot, of which each may have a scale: its output channels. Both axes of rows of a recurrence are one. */
const targetRows = (slot: Slot): TargetRows | undefined => {
  const axes = stridedAxes(slot.tensor.shape)
  const contraction = slot.layer?.contraction
  if (contraction !== undefined && contraction.groups > 1 && contraction.grouped === 'output') {
    return groupedRows(axes, contraction.groups)
  }
  const at = contraction?.weightOutputAxis ?? (isRecurrent(slot) ? undefined : 0)
  if (at === undefined) {
    const [first, second, ...rest] = axes
    if (first === undefined || second === undefined) return undefined
    return { row: alongAxis({ size: first.size * second.size, stride: second.stride }, undefined), rest }
  }
  const row = axes[at]
  return row === undefined ? undefined : { row: alongAxis(row, at), rest: axes.filter((_, a) => a !== at) }
}

/** A grouped transposed convolution `[C, M/groups, ..]` makes output `g·M/groups + j` with the rows of group `g` of column `j`. */
const groupedRows = ([inputs, columns, ...kernel]: ReadonlyArray<Axis>, groups: number): TargetRows | undefined => {
  if (inputs === undefined || columns === undefined) return undefined
  const perGroup = inputs.size / groups
  const starts = Int32Array.from(
    { length: groups * columns.size },
    (_, o) => Math.floor(o / columns.size) * perGroup * inputs.stride + (o % columns.size) * columns.stride,
  )
  const rest = [{ size: perGroup, stride: inputs.stride }, ...kernel]
  return { row: { starts, stride: columns.stride, axis: undefined }, rest }
}

export interface ValueMatch {
  readonly layout: Layout
  /** Elements of the given tensor that the constant holds. */
  readonly covered: number
  /** The axis of the given tensor that has the output channels; undefined where no single one has. */
  readonly outputAxis: number | undefined
}

/** Whether a tensor's numbers say where it is: not if they are all the same. */
export const isTelling = (values: Values): boolean => values.length >= 4 && values.some((x) => x !== values[0])

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
  const target = targetRows(slot)
  if (target === undefined || !isTelling(valuesOf(source))) return []
  const tolerance = Math.max(toleranceOf(slot.tensor.dtype), toleranceOf(source.dtype))
  const targetRest = target.rest.filter(({ size }) => size > 1)
  const sizes = targetRest.map(({ size }) => size)
  const length = sizes.reduce((n, d) => n * d, 1)
  let to: Rows | undefined
  const out: ValueMatch[] = []
  const consider = (row: RowAxis, rest: ReadonlyArray<Axis>): void => {
    if (rest.length !== sizes.length || row.starts.length * length * target.row.starts.length === 0) return
    for (const order of orders(rest, sizes)) {
      to ??= rowsOf(valuesOf(slot.tensor), target.row, targetRest)
      const from = rowsOf(valuesOf(source), row, order)
      const scaled = slot.layer !== undefined && isScalable(Math.min(from.starts.length, to.starts.length), length)
      const match =
        matchRows(from, to, { tolerance, scaled: scaled && length >= shortestFreeRow }) ??
        inOrder(scaled, from, to, tolerance)
      if (match === undefined) continue
      const kind = match.rows ?? kindOf(source.shape, slot.tensor.shape, match.regions)
      const text = match.rows === undefined ? {} : { text: match.text }
      out.push({
        layout: { kind, ...text, regions: match.regions },
        covered: match.count * length,
        outputAxis: row.axis,
      })
    }
  }
  const axes = stridedAxes(source.shape)
  const beyondOne = [...axes.entries()].filter(([, { size }]) => size > 1)
  for (const [at, axis] of beyondOne) {
    consider(
      alongAxis(axis, at),
      beyondOne.flatMap(([other, rest]) => (other === at ? [] : [rest])),
    )
  }
  // A weight of one output channel has its row axis among those of size 1.
  const single = axes.findIndex(({ size }) => size === 1)
  const all = beyondOne.map(([, axis]) => axis)
  if (single >= 0) consider(alongAxis({ size: 1, stride: 0 }, single), all)
  const groups = slot.layer?.contraction.groups ?? 1
  const grouped = target.row.axis === undefined && groups > 1 ? groupedRows(axes, groups) : undefined
  if (grouped !== undefined && isSameShape(source.shape, slot.tensor.shape)) {
    consider(
      grouped.row,
      grouped.rest.filter(({ size }) => size > 1),
    )
  }
  return out
}

const isSameShape = (a: ReadonlyArray<number>, b: ReadonlyArray<number>): boolean =>
  a.length === b.length && a.every((d, i) => d === b[i])

interface RowMatch {
  readonly regions: ReadonlyArray<Region>
  readonly count: number
  /** Where not all rows are in their order. */
  readonly rows: 'rows' | undefined
  readonly text: string
}

/** Short rows that are scaled, each in its place. */
const inOrder = (scaled: boolean, from: Rows, to: Rows, tolerance: number): RowMatch | undefined => {
  const match = scaled ? matchRows(from, to, { tolerance, scaled }) : undefined
  return match?.rows === undefined ? match : undefined
}

const matchRows = (from: Rows, to: Rows, how: Comparison): RowMatch | undefined => {
  const part = from.starts.length > to.starts.length
  const [small, big] = part ? [to, from] : [from, to]
  if (!mayHold(small, big, how)) return undefined
  const found = findRows(small, big, how)
  if (found === undefined) return undefined
  const pairs = Array.from(found, (other, row) => (part ? ([row, other] as const) : ([other, row] as const)))
  pairs.sort((a, b) => a[0] - b[0])
  const inOrder = pairs.every(([a, b]) => a === b)
  const whole = pairs.length === to.starts.length && pairs.length === from.starts.length && inOrder
  const [first, last] = [pairs[0]?.[0] ?? 0, pairs.at(-1)?.[0] ?? 0]
  return {
    regions: regionsOf(to, from, pairs),
    count: pairs.length,
    rows: whole ? undefined : 'rows',
    text: `output channels ${first} to ${last} of ${to.starts.length}`,
  }
}

/** What to call regions that put every element of one in the other's place. */
const kindOf = (
  shape: ReadonlyArray<number>,
  target: ReadonlyArray<number>,
  regions: ReadonlyArray<Region>,
): LayoutKind => {
  const inPlace = regions.every(
    ({ shape: sizes, to, from }) =>
      to.offset === from.offset && sizes.every((d, a) => d === 1 || to.strides[a] === from.strides[a]),
  )
  if (inPlace) return 'same'
  return shape.filter((d) => d > 1).length === 2 && target.filter((d) => d > 1).length === 2 ? 'transposed' : 'permuted'
}

/** Vectors (biases, scales) are found where they are equal to rounding, and not all the same number. */
const vectorByValue = (source: Dense, slot: Slot, valuesOf: (tensor: Tensor) => Values): ReadonlyArray<ValueMatch> => {
  const [wanted, found] = [valuesOf(source), valuesOf(slot.tensor)]
  if (wanted.length !== found.length || !isTelling(wanted)) return []
  const tolerance = Math.max(toleranceOf(slot.tensor.dtype), toleranceOf(source.dtype))
  if (!wanted.every((x, i) => Math.abs(x - (found[i] ?? NaN)) <= tolerance * Math.abs(x))) return []
  const region = {
    shape: [wanted.length],
    to: { offset: 0, strides: [1] },
    from: { offset: 0, strides: [1] },
  }
  return [{ layout: { kind: 'same', regions: [region] }, covered: wanted.length, outputAxis: 0 }]
}

/**
 * The layout of a mask that has a number for several elements of a weight, by the layout of the weight: a mask of the same
 * rank with axes of size 1, or one for each output channel. Undefined where it is of another shape.
 */
export const throughWeight = (
  { layout, outputAxis }: ValueMatch,
  weight: ReadonlyArray<number>,
  mask: ReadonlyArray<number>,
): Layout | undefined => {
  if (isSameShape(weight, mask)) return layout
  const channels = mask.length === 1 && weight.length > 1 && outputAxis !== undefined
  const shape = channels ? weight.map((_, a) => (a === outputAxis ? (mask[0] ?? 0) : 1)) : mask
  if (shape.length !== weight.length || !shape.every((d, a) => d === weight[a] || d === 1)) return undefined
  const [strides, own] = [stridesOf(weight), stridesOf(shape)]
  const ownStride = (stride: number): number => {
    const axis = strides.findIndex((s, a) => s === stride && (weight[a] ?? 1) > 1)
    return shape[axis] === 1 ? 0 : (own[axis] ?? 0)
  }
  const ownOffset = (offset: number): number =>
    strides.reduce((sum, stride, a) => {
      const index = Math.floor(offset / stride) % (weight[a] ?? 1)
      return sum + (shape[a] === 1 ? 0 : index * (own[a] ?? 0))
    }, 0)
  const regions = layout.regions.map((region) => ({
    ...region,
    from: {
      offset: ownOffset(region.from.offset),
      strides: region.from.strides.map((stride, a) => (region.shape[a] === 1 ? 0 : ownStride(stride))),
    },
  }))
  return { ...layout, regions }
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
