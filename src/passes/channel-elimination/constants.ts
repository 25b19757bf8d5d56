/**
 * Channels that no input changes, forwards: constant ones, that hold the same number at every position and for every input of
 * the model, with how far what a runtime computes may be from it, and patterns (`patterns.ts`), that differ from position to
 * position. Conditional constant propagation (Wegman and Zadeck) at the granularity of channels.
 */
import { memoized } from '../../ir/analysis.ts'
import { type DType, isFloat } from '../../ir/dtype.ts'
import { constantOutputs } from '../../ir/families/contraction.ts'
import { isQuantized } from '../../ir/families/quantization.ts'
import { isAccurate, precisionOf, roundTo } from '../../ir/numerics.ts'
import type { SliceFact, ValueId } from '../../ir/op.ts'
import { sliceConstants, uniformValue } from '../../ir/slices.ts'
import type { ValueType } from '../../ir/type.ts'
import { type Evaluated, givenMarks, type PatternFact, patternFinder } from './patterns.ts'
import { at, type Known, linksTo, type Marks, type SliceReader, sliceReader, wholeFacts } from './slice-readers.ts'
import { constantsByAxis } from './mixing.ts'
import { trackingOf } from './tracking.ts'
import { axesOf, type NodeView, ownAxesOf, viewsOf } from './views.ts'

const isUniform = (values: Float64Array): boolean => values.every((value) => Object.is(value, values[0]))

export interface Constants {
  /** The constants along an axis, NaN where none is known. */
  readonly known: (value: ValueId, axis: number) => Known
  /** The same with a number for each channel; undefined when none is known. */
  readonly along: (value: ValueId, axis: number) => Float64Array | undefined
  /** The number that all of a value holds, if there is one. */
  readonly uniform: (value: ValueId) => number | undefined
  /** How far what a runtime computes may be from any of the constants of a computed value. */
  readonly error: (value: ValueId) => number
  /** The patterns along an axis of a computed value. */
  readonly patterns: (value: ValueId, axis: number) => PatternFact | undefined
  /** Along an axis of a computed value 1 for each channel that is constant or a pattern. */
  readonly given: (value: ValueId, axis: number) => Marks
}

/** Along an axis the constants of its channels, and how far what a runtime computes may be from each. */
interface Measured {
  readonly values: Known
  readonly errors: Known
}

const nothing: Measured = { values: NaN, errors: 0 }

/** The forward analysis alone. */
export const channelConstants = memoized((graph): Constants => {
  const facts = new Map<ValueId, ReadonlyArray<Measured>>()
  const patterned = new Map<ValueId, PatternFact>()
  const marks = new Map<ValueId, Marks[]>()
  const findPatterns = patternFinder(graph)
  const tracking = trackingOf(graph)
  const known = (value: ValueId, axis: number): Known => {
    const tensor = graph.constants.get(value)
    return tensor === undefined ? (facts.get(value)?.[axis]?.values ?? NaN) : sliceConstants(tensor, axis)
  }
  const uniform = (value: ValueId): number | undefined => {
    const tensor = graph.constants.get(value)
    if (tensor !== undefined) return uniformValue(tensor)
    for (const { values } of facts.get(value) ?? []) {
      if (typeof values === 'number' && !Number.isNaN(values)) return values
    }
    return undefined
  }
  const error = (value: ValueId): number => {
    const [first] = facts.get(value)?.filter(({ values }) => typeof values !== 'number' || !Number.isNaN(values)) ?? []
    const errors = first?.errors ?? 0
    return typeof errors === 'number' ? errors : errors.reduce((a, b) => Math.max(a, b), 0)
  }
  const constants: Constants = {
    known,
    along: (value, axis) => {
      const values = known(value, axis)
      if (typeof values !== 'number') return values
      return Number.isNaN(values) ? undefined : new Float64Array(axesOf(graph, value)[axis] ?? 0).fill(values)
    },
    uniform,
    error,
    patterns: (value, axis) => {
      const found = patterned.get(value)
      return found?.axis === axis ? found : undefined
    },
    given: (value, axis) => {
      const axes = marks.get(value) ?? []
      marks.set(value, axes)
      return (axes[axis] ??= givenMarks(
        known(value, axis),
        constants.patterns(value, axis),
        axesOf(graph, value)[axis] ?? 0,
      ))
    },
  }
  const sources: Sources = {
    constants,
    errors: (value, axis) => facts.get(value)?.[axis]?.errors ?? 0,
  }
  for (const view of viewsOf(graph)) {
    const mixed = constantsByAxis(view, known, sources.errors)
    view.node.outputs.forEach((output, k) => {
      if (output === '') return
      const found = axesOf(graph, output).map((size = 0, axis) =>
        size === 0
          ? nothing
          : (measuredBy(view, mixed, k, axis) ??
            constantsOfAxis(view, k, axis, size, sources, tracking.tracked(output, axis))),
      )
      if (found.some((one) => one !== nothing)) facts.set(output, found)
      for (const [axis, size = 0] of ownAxesOf(graph, output).entries()) {
        if (size === 0 || !tracking.tracked(output, axis) || uniform(output) !== undefined) continue
        const current = facts.get(output) ?? found
        const before = current[axis] ?? nothing
        const evaluated = findPatterns(view, k, axis, size, before.values, sources)
        if (evaluated === undefined) continue
        if (evaluated.numbers.size > 0) {
          facts.set(output, current.with(axis, joined(before, evaluated.numbers, size)))
        }
        if (evaluated.patterns === undefined) continue
        patterned.set(output, evaluated.patterns)
        break
      }
    })
  }
  return constants
})

/** The constants with those of some channels more. */
const joined = ({ values, errors }: Measured, numbers: Evaluated['numbers'], size: number): Measured => {
  const out = { values: new Float64Array(size), errors: new Float64Array(size) }
  for (let i = 0; i < size; i++) {
    out.values[i] = numbers.get(i)?.value ?? at(values, i)
    out.errors[i] = numbers.get(i)?.error ?? at(errors, i)
  }
  return isUniform(out.values) && isUniform(out.errors)
    ? { values: out.values[0] ?? NaN, errors: out.errors[0] ?? 0 }
    : out
}

/** Whether constants of this type are facts: real numbers, and integers that may stand for such. */
const isToldApart = (dtype: DType): boolean => isFloat(dtype) || isQuantized(dtype)

/** What a number of this type is rounded by, relative to its size: nothing but for real numbers. */
const unitOf = (type: ValueType | undefined): number =>
  type?.kind === 'tensor' && isFloat(type.dtype) ? 2 ** -precisionOf(type.dtype).digits : 0

/** What is known so far of values that are defined before. */
interface Sources {
  readonly constants: Constants
  readonly errors: (value: ValueId, axis: number) => Known
}

/** The constants along an axis that a node's mixing says. */
const measuredBy = (
  { ctx }: NodeView,
  mixed: ReturnType<typeof constantsByAxis>,
  port: number,
  axis: number,
): Measured | undefined => {
  const type = ctx.outputs[port]
  const found = type?.kind === 'tensor' && isFloat(type.dtype) ? mixed({ side: 'output', port, axis }) : undefined
  return found && type?.kind === 'tensor' ? trusted(type.dtype, found) : undefined
}

const constantsOfAxis = (
  { op, ctx, node, links, contraction, reads }: NodeView,
  output: number,
  axis: number,
  size: number,
  { constants, errors }: Sources,
  tracked: boolean,
): Measured => {
  const type = ctx.outputs[output]
  if (links === 'opaque' || type?.kind !== 'tensor' || !isToldApart(type.dtype)) return nothing
  if (contraction !== undefined && reads !== undefined) {
    if (output !== 0 || axis !== contraction.outputAxis) return nothing
    const input = node.inputs[contraction.port] ?? ''
    const off = errors(input, contraction.axis)
    const inputErrors = typeof off === 'number' ? new Float64Array(reads.inputs).fill(off) : off
    return trusted(type.dtype, constantOutputs(reads, constants.along(input, contraction.axis), inputErrors))
  }
  const { constant, accurateTo } = op
  if (constant === undefined) return nothing
  const linked = linksTo(links, output, axis)
  const values = node.inputs.map((input, port) =>
    sliceReader(input, linked.get(port) ?? [], size, constants.known, constants.uniform),
  )
  const offs = node.inputs.map((input, port) =>
    sliceReader(input, linked.get(port) ?? [], size, errors, constants.error),
  )
  const unit = unitOf(type)
  const units = ctx.inputs.map(unitOf)
  if (constant === 'copied') return copyOf(type.dtype, values, offs, size, unit, tracked)
  /** The constant of one index, and its error. */
  const measure = (slices: ReadonlyArray<SliceFact>, off: (port: number) => number): readonly [number, number] => {
    const value = constant(ctx, slices, output, axis)
    if (value === undefined) return [NaN, 0]
    let error = unit * Math.max(Math.abs(value), accurateTo?.(ctx, slices) ?? 0)
    // What an operand may be off by, its own rounding at least, moves the result.
    for (const [port, x] of slices.entries()) {
      if (typeof x !== 'number' || x === 0) continue
      const far = Math.max(off(port), Math.max(unit, units[port] ?? 0) * Math.abs(x))
      if (units[port] === 0) continue
      for (const moved of [x - far, x + far]) {
        const other = constant(ctx, slices.with(port, moved), output, axis) ?? NaN
        error = Math.max(error, Math.abs(other - value))
        if (Number.isNaN(other)) error = Infinity
      }
    }
    return [value, error]
  }
  const whole = wholeFacts(values)
  const wholeOffs = wholeFacts(offs)
  if (whole !== undefined && wholeOffs !== undefined) {
    const [value, error] = measure(whole, (port) => wholeOffs[port] ?? 0)
    return trusted(type.dtype, { values: value, errors: error })
  }
  if (!tracked) return nothing
  const measured = { values: new Float64Array(size), errors: new Float64Array(size) }
  const slices: SliceFact[] = new Array<SliceFact>(values.length)
  for (let i = 0; i < size; i++) {
    for (let port = 0; port < values.length; port++) slices[port] = values[port]?.at(i)
    const [value, error] = measure(slices, (port) => offs[port]?.at(i) ?? 0)
    measured.values[i] = value
    measured.errors[i] = error
  }
  return trusted(type.dtype, measured)
}

/**
 * The constants that are exact enough to be known, rounded to their type: what a runtime computes in the tail of a function,
 * or where terms cancel, may be any small number. A zero is known only where it is certain, and so is an integer.
 */
const trusted = (dtype: DType, { values, errors }: Measured): Measured => {
  const precision = isFloat(dtype) ? precisionOf(dtype) : undefined
  const known = (given: number, error: number): number => {
    if (precision === undefined) return error === 0 && Number.isInteger(given) ? given : NaN
    const value = roundTo(dtype, given)
    return Number.isFinite(value) && isAccurate(precision, value, error) ? value : NaN
  }
  if (typeof values === 'number') {
    const value = known(values, at(errors, 0))
    return Number.isNaN(value) ? nothing : { values: value, errors }
  }
  const rounded = values.map((value, i) => known(value, at(errors, i)))
  const off = rounded.map((value, i) => (Number.isNaN(value) ? 0 : at(errors, i)))
  const [first = NaN, error = 0] = [rounded[0], off[0]]
  const same = isUniform(rounded)
  if (same && Number.isNaN(first)) return nothing
  return { values: same ? first : rounded, errors: isUniform(off) ? error : off }
}

/** What a copy holds: the number that all slices taking part hold, with the largest of their errors. */
const copyOf = (
  dtype: DType,
  values: ReadonlyArray<SliceReader>,
  offs: ReadonlyArray<SliceReader>,
  size: number,
  unit: number,
  tracked: boolean,
): Measured => {
  const isWhole = [...values, ...offs].every(({ fact }) => fact !== 'various')
  if (!isWhole && !tracked) return nothing
  const count = isWhole ? 1 : size
  const measured = { values: new Float64Array(count).fill(NaN), errors: new Float64Array(count) }
  const met = new Uint8Array(count)
  for (const [port, value] of values.entries()) {
    for (let i = value.first; i < Math.min(count, value.end); i++) {
      const fact = value.at(i)
      if (fact === null) continue
      const one = fact ?? NaN
      measured.values[i] = met[i] === 0 || Object.is(measured.values[i], one) ? one : NaN
      const off = one === 0 ? 0 : Math.max(offs[port]?.at(i) ?? 0, unit * Math.abs(one))
      measured.errors[i] = Math.max(measured.errors[i] ?? 0, off)
      met[i] = 1
    }
  }
  return trusted(dtype, measured)
}
