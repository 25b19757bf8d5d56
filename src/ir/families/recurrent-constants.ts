/**
 * Units of a recurrence that hold the same number at every time step. The equations of the cell are computed over intervals: from
 * the first states the states after one step, which then have to hold those after one more. What does not is not known, until
 * nothing changes; by induction the numbers of all later steps lie within what is left.
 */
import { precisionOf } from '../numerics.ts'
import { elementReader } from '../tensor.ts'
import type { Activation, Arithmetic, Cell, RecurrentAttributes, States, Step } from './recurrent-cells.ts'
import type { Parts } from './recurrent-parts.ts'

/** Holds a number and whatever a runtime computes for it; undefined where that may be anything. */
export type Interval = { readonly low: number; readonly high: number } | undefined

const zero: Interval = { low: 0, high: 0 }

const isZero = (x: Interval): boolean => x?.low === 0 && x.high === 0

const between = (low: number, high: number, off: number): Interval =>
  Number.isFinite(low - off) && Number.isFinite(high + off) ? { low: low - off, high: high + off } : undefined

export const intervalAround = (x: number, error: number): Interval => between(x, x, error)

/** The least interval that holds both. */
export const hull = (a: Interval, b: Interval): Interval =>
  a && b && { low: Math.min(a.low, b.low), high: Math.max(a.high, b.high) }

const size = (x: NonNullable<Interval>): number => Math.max(Math.abs(x.low), Math.abs(x.high))

/** How many units in the last place of 1, or of the result, an activation function may be off by in a runtime. */
const functionUnits = 8

/** Interval arithmetic; each operation rounds to a relative `unit`. What is multiplied with zero is zero, if it is a number. */
const intervals = (unit: number): Arithmetic<Interval> => ({
  of: (x) => between(x, x, 0),
  add: (a, b) => {
    if (a === undefined || b === undefined) return undefined
    if (isZero(a)) return b
    if (isZero(b)) return a
    return between(a.low + b.low, a.high + b.high, unit * (size(a) + size(b)))
  },
  times: (a, b) => {
    if (isZero(a) || isZero(b)) return zero
    if (a === undefined || b === undefined) return undefined
    const ends = [a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high]
    const [low, high] = [Math.min(...ends), Math.max(...ends)]
    return between(low, high, unit * Math.max(Math.abs(low), Math.abs(high)))
  },
  apply: ({ f, rises, isPiecewise }: Activation, x) => {
    if (x === undefined || (!rises && x.low !== x.high)) return undefined
    const [low, high] = [f(x.low), f(x.high)]
    if (isZero(x) && low === 0) return zero
    const largest = Math.max(Math.abs(low), Math.abs(high))
    return between(low, high, isPiecewise ? unit * largest : functionUnits * unit * Math.max(1, largest))
  },
})

/** What the states of one direction hold at the start and after any number of steps. */
export interface Courses {
  readonly first: States<Interval>
  readonly later: States<Interval>
}

/** Rounds after which what has not settled is not known. */
const roundLimit = 32

/** What the units of a direction hold, of features and first states that are known to lie within intervals. */
export const coursesOf = <A extends RecurrentAttributes>(
  cell: Cell<A>,
  attrs: A,
  parts: Parts,
  direction: number,
  features: ReadonlyArray<Interval>,
  first: States<Interval>,
): Courses => {
  const { units, gates, weight, recurrent, bias, peephole } = parts
  const nothing: States<Interval> = { hidden: [], cell: [] }
  const functions = parts.activations?.[direction]
  if (functions === undefined) return { first, later: nothing }
  const k = intervals(2 ** -precisionOf(weight.dtype).digits)
  const rows = gates * units
  const [w, r] = [elementReader(weight), elementReader(recurrent)]
  const [b, p] = [bias && elementReader(bias), peephole && elementReader(peephole)]
  /** `start` and the sum of what is read times the elements of a row; the features or units whose weights are zero take no part. */
  const sum = (
    start: number,
    at: (index: number) => number,
    row: number,
    columns: number,
    read: (i: number) => Interval,
  ): Interval => {
    let total = k.of(start)
    for (let i = 0; i < columns && total !== undefined; i++) {
      const factor = at(row * columns + i)
      if (factor !== 0) total = k.add(total, k.times(k.of(factor), read(i)))
    }
    return total
  }
  const { clip: limit } = attrs
  const within = (x: number): number => (limit === undefined ? x : Math.max(-limit, Math.min(limit, x)))
  const step: Step<Interval> = {
    units,
    activations: functions,
    clip: (x) => x && { low: within(x.low), high: within(x.high) },
    fromInput: (gate, u) => {
      const row = direction * rows + gate * units + u
      return sum(b?.(2 * direction * rows + gate * units + u) ?? 0, w, row, parts.features, (i) => features[i])
    },
    fromState: (gate, u, state) => {
      const row = direction * rows + gate * units + u
      return sum(b?.((2 * direction + 1) * rows + gate * units + u) ?? 0, r, row, units, state)
    },
    peephole: (index, u) => k.of(p?.((direction * 3 + index) * units + u) ?? 0),
  }
  let later = cell.step(k, attrs, step, first)
  for (let round = 0; round < roundLimit; round++) {
    if (![...later.hidden, ...later.cell].some((x) => x !== undefined)) return { first, later }
    const next = cell.step(k, attrs, step, later)
    const settled = { hidden: settle(later.hidden, next.hidden), cell: settle(later.cell, next.cell) }
    if (settled.hidden === later.hidden && settled.cell === later.cell) return { first, later }
    later = settled
  }
  return { first, later: nothing }
}

/** What holds what comes next; the same list where that is all. */
const settle = (before: ReadonlyArray<Interval>, next: ReadonlyArray<Interval>): ReadonlyArray<Interval> => {
  const holds = (x: Interval, y: Interval): boolean =>
    x === undefined || (y !== undefined && x.low <= y.low && y.high <= x.high)
  return before.every((x, u) => holds(x, next[u])) ? before : before.map((x, u) => (holds(x, next[u]) ? x : undefined))
}
