/**
 * Patterns: channels that no input changes but that differ from position to position, as a constant does that met padding.
 *
 * An index of an output axis depends on the linked slices alone (a law of `links`), and an output of a contraction on the
 * channels that it reads. Where no input changes any of these, the operator's reference evaluation gives what it holds; only
 * the channels in question are evaluated, where the operator allows it, and zeros stand for the others where not.
 */
import { isFloat } from '../../ir/dtype.ts'
import { numbersOf } from '../../ir/evaluate.ts'
import { neededInputs } from '../../ir/families/contraction.ts'
import { dtypeOf } from '../../ir/families/movement.ts'
import type { Graph } from '../../ir/graph.ts'
import { constantContext } from '../../ir/interpret.ts'
import { placeOf } from '../../ir/links.ts'
import { precisionOf } from '../../ir/numerics.ts'
import type { AxisLink, IndexMap, Patterns, ValueId } from '../../ir/op.ts'
import { gather, materialize, type Tensor, tensorOf } from '../../ir/tensor.ts'
import { sizeOf, staticShape } from '../../ir/type.ts'
import {
  type Approximation,
  contractionVariances,
  elementCost,
  type Errors,
  evaluateMoved,
  evaluationsMoved,
  judged,
  linkedAlike,
  singleShape,
} from '../approximate.ts'
import { workFor } from '../effort.ts'
import type { Constants } from './constants.ts'
import { at, type Known, linksTo, type Marks } from './slice-readers.ts'
import type { NodeView } from './views.ts'

/** Patterns along an axis of a value. */
export interface PatternFact extends Patterns {
  readonly axis: number
  /** About how far what a runtime computes is from each: root mean squares over the positions. */
  readonly error: (channel: number) => number
}

/** What is known of an axis by evaluation: patterns, and channels that hold one number at all positions after all. */
export interface Evaluated {
  readonly patterns: PatternFact | undefined
  /** By channel, with about how far what a runtime computes is from each. */
  readonly numbers: ReadonlyMap<number, { readonly value: number; readonly error: number }>
}

/** What patterns are found from. */
export interface PatternSources {
  readonly constants: Pick<Constants, 'known' | 'uniform' | 'error' | 'given' | 'patterns'>
  readonly errors: (value: ValueId, axis: number) => Known
}

/**
 * The most that evaluating a graph's patterns may cost, in multiply-accumulates, and the most bytes that they may take. What
 * would cost more is not known.
 */
const workLimit = 2e9
const memoryLimit = 64 * 2 ** 20

/** Finds patterns along `axis` of an output of a node, of `size` channels, among those that are not given already. */
export type PatternFinder = (
  view: NodeView,
  output: number,
  axis: number,
  size: number,
  before: Known,
  sources: PatternSources,
) => Evaluated | undefined

/**
 * A finder for the nodes of one graph, in order; it stops when the limits of work and memory are reached. What a node hands on
 * unchanged, as a cut does, counts for neither.
 */
export const patternFinder = (graph: Graph): PatternFinder => {
  const isLinkedAlike = linkedAlike(graph)
  let [work, memory] = [Math.min(workLimit, workFor(graph)), memoryLimit]
  return (view, output, axis, size, before, sources) => {
    const { node, op, ctx, links, contraction } = view
    const same = output === 0 ? op.identity?.(ctx) : undefined
    if (same !== undefined) {
      const patterns = sources.constants.patterns(node.inputs[same] ?? '', axis)
      return patterns && { patterns, numbers: new Map() }
    }
    const type = ctx.outputs[output]
    const shape = singleShape(graph, node.outputs[output] ?? '')
    if (links === 'opaque' || type?.kind !== 'tensor' || !isFloat(type.dtype) || shape === undefined) return undefined
    // A channel that is normalised depends on others than the one linked with it.
    const isMade = (link: AxisLink): boolean => link.output === output && link.outputAxis === axis
    if (view.statistics.some((one) => one.links.some(isMade))) return undefined
    const isOpen = (i: number): boolean => Number.isNaN(at(before, i))
    const isSummed = contraction !== undefined
    if (isSummed && (output !== 0 || axis !== contraction.outputAxis)) return undefined
    const channels = isSummed
      ? givenOutputs(view, isOpen, sources)
      : givenSlices(graph, view, output, axis, size, isOpen, sources)
    if (channels.length === 0) return undefined
    const computed = [...node.inputs.keys()].filter((port) => isComputed(graph, node.inputs[port] ?? ''))
    if (!isLinkedAlike(node, computed)) return undefined
    const bytes = (sizeOf(shape) / size) * channels.length * Float64Array.BYTES_PER_ELEMENT
    if (bytes > memory) return undefined
    const plan = isSummed
      ? planSum(graph, view, channels, sources)
      : planSlices(graph, view, output, axis, shape, channels, sources)
    if (plan === undefined || plan.work > work) return undefined
    work -= plan.work
    const found = plan.compute()
    const result = found && sorted(found, axis, channels)
    if (result?.patterns !== undefined) memory -= bytes
    return result
  }
}

const isComputed = (graph: Graph, value: ValueId): boolean => value !== '' && !graph.constants.has(value)

/** An evaluation that is possible, and what it costs. */
interface Plan {
  readonly work: number
  /** The channels asked for, in order, along the axis. */
  readonly compute: () => Approximation | undefined
}

/** The open outputs of a contraction that read given channels only. */
const givenOutputs = (
  { node, contraction: c, reads }: NodeView,
  isOpen: (o: number) => boolean,
  { constants }: PatternSources,
): Int32Array => {
  const input = node.inputs[c?.port ?? -1] ?? ''
  if (c?.contract === undefined || reads === undefined) return new Int32Array()
  const given = constants.given(input, c.axis)
  if (given === 0) return new Int32Array()
  const found: number[] = []
  for (let o = 0; o < reads.outputs; o++) {
    if (!isOpen(o) || c.bias(o) === undefined) continue
    const [first, end] = reads.inputsOf(o)
    let isGiven = true
    for (let i = first; i < end && isGiven; i++) isGiven = !reads.reads(o, i) || at(given, i) === 1
    if (isGiven) found.push(o)
  }
  return Int32Array.from(found)
}

/** The open indices of an output axis of which every computed input is given. */
const givenSlices = (
  graph: Graph,
  { node, links }: NodeView,
  output: number,
  axis: number,
  size: number,
  isOpen: (i: number) => boolean,
  { constants }: PatternSources,
): Int32Array => {
  const linked = linksTo(links === 'opaque' ? [] : links, output, axis)
  /** 1 where an input is not given; each input marks those that it has a part in, since a Concat may have very many. */
  let missing: Uint8Array | undefined
  for (const [port, input] of node.inputs.entries()) {
    if (!isComputed(graph, input)) continue
    const [link, ...others] = linked.get(port) ?? []
    if (link === undefined) continue
    const given = constants.given(input, link.inputAxis)
    if (others.length > 0 || (given === 0 && link.from === undefined && link.into === undefined))
      return new Int32Array()
    const place = placeIn(link)
    if (place === undefined) return new Int32Array()
    missing ??= new Uint8Array(size)
    for (let i = link.from?.first ?? 0; i < (link.from?.end ?? size); i++) {
      const source = place(i)
      if (source >= 0 && at(given, source) !== 1) missing[i] = 1
    }
  }
  return missing === undefined
    ? new Int32Array()
    : Int32Array.from(missing.keys()).filter((i) => missing[i] === 0 && isOpen(i))
}

/** The input index of an output index, -1 for none; undefined where several may go into one. */
const placeIn = ({ from, into }: AxisLink): ((i: number) => number) | undefined => {
  if (from !== undefined) return into === undefined ? (i) => placeOf(from, i) : undefined
  if (into === undefined) return (i) => i
  const places = inverse(into)
  return places && ((i) => places.get(i) ?? -1)
}

const inverse = (map: IndexMap): ReadonlyMap<number, number> | undefined => {
  const out = new Map<number, number>()
  for (let i = map.first; i < map.end; i++) out.set(map.at(i), i)
  return out.size === map.end - map.first ? out : undefined
}

/** Some channels along an axis of a value, zeros for those that are not given; of those that are, what they may be off by. */
const layOut = (
  graph: Graph,
  value: ValueId,
  axis: number,
  channels: Int32Array,
  { constants, errors }: PatternSources,
): { readonly values: Float64Array; readonly shape: ReadonlyArray<number>; readonly errors: Errors } | undefined => {
  const whole = singleShape(graph, value)
  if (whole === undefined) return undefined
  const shape = whole.map((size, a) => (a === axis ? channels.length : size))
  const inner = sizeOf(shape.slice(axis + 1))
  const outer = sizeOf(shape.slice(0, axis))
  const values = new Float64Array(sizeOf(shape))
  const sizes = new Float64Array(channels.length)
  const [known, offs, patterns] = [constants.known(value, axis), errors(value, axis), constants.patterns(value, axis)]
  channels.forEach((channel, k) => {
    const number = at(known, channel)
    const slice = Number.isNaN(number) ? patterns?.slice(channel) : undefined
    if (Number.isNaN(number) && slice === undefined) return
    sizes[k] = slice === undefined ? at(offs, channel) : (patterns?.error(channel) ?? 0)
    for (let n = 0; n < outer; n++) {
      const start = (n * channels.length + k) * inner
      if (slice === undefined) values.fill(number, start, start + inner)
      else values.set(slice.subarray((n * inner) % slice.length, ((n * inner) % slice.length) + inner), start)
    }
  })
  return { values, shape, errors: { axis, sizes } }
}

/** `bias + scale · Σ`, of outputs of a contraction that read given channels only. */
const planSum = (
  graph: Graph,
  { node, op, ctx, contraction: c, reads }: NodeView,
  outputs: Int32Array,
  sources: PatternSources,
): Plan | undefined => {
  if (c?.contract === undefined || reads === undefined) return undefined
  const { contract } = c
  const isWhole = c.groups > 1
  const rows = isWhole ? Int32Array.from({ length: reads.outputs }, (_, o) => o) : outputs
  const columns = isWhole ? Int32Array.from({ length: reads.inputs }, (_, i) => i) : columnsOf(reads, outputs)
  const weight = isWhole
    ? reads.weight
    : gather(gather(reads.weight, c.weightOutputAxis, rows), c.weightInputAxis, columns)
  const value = node.inputs[c.port] ?? ''
  const share = (rows.length / reads.outputs) * (columns.length / reads.inputs)
  return {
    work: (op.macs?.(ctx) ?? 0) * share,
    compute: () => {
      const x = layOut(graph, value, c.axis, columns, sources)
      const input = x && tensorOf('float64', x.shape, x.values)
      const sums = input && contract.sum(input, weight, c.groups)
      if (x === undefined || input === undefined || sums === undefined) return undefined
      const { dtype } = reads.weight
      const variances = contractionVariances(c, weight, input, x.errors, precisionOf(dtype).digits)
      const inner = sizeOf(sums.shape.slice(c.outputAxis + 1))
      const scaled = numbersOf(sums).map((sum, k) => {
        const o = rows[Math.floor(k / inner) % rows.length] ?? 0
        return (c.bias(o) ?? NaN) + c.scale * sum
      })
      const made = materialize(tensorOf(dtype, sums.shape, scaled))
      const picked = isWhole ? materialize(gather(made, c.outputAxis, outputs)) : made
      const off = Float64Array.from(outputs, (o, k) => Math.sqrt(variances[isWhole ? o : k] ?? NaN))
      return judged(picked, c.outputAxis, off)
    },
  }
}

/** The input channels that some of `outputs` read. */
const columnsOf = (r: NonNullable<NodeView['reads']>, outputs: Int32Array): Int32Array => {
  const wanted = new Set(outputs)
  const marks = neededInputs(r, (o) => wanted.has(o))
  return Int32Array.from(marks.keys()).filter((i) => marks[i] === 1)
}

/** The node evaluated for some indices of an output axis, alone where it allows that, else among zeros. */
const planSlices = (
  graph: Graph,
  view: NodeView,
  output: number,
  axis: number,
  shape: ReadonlyArray<number>,
  channels: Int32Array,
  sources: PatternSources,
): Plan | undefined => {
  const linked = linksTo(view.links === 'opaque' ? [] : view.links, output, axis)
  const isPlain = [...linked.values()].every(
    ([link, ...others]) => others.length === 0 && link?.from === undefined && link?.into === undefined,
  )
  return (
    (isPlain ? planEvaluation(graph, view, output, axis, shape, channels, linked, channels, sources) : undefined) ??
    planEvaluation(graph, view, output, axis, shape, channels, linked, undefined, sources)
  )
}

/** The node evaluated for the indices `among` of the linked axes; undefined for all of them. */
const planEvaluation = (
  graph: Graph,
  { node, op }: NodeView,
  output: number,
  axis: number,
  shape: ReadonlyArray<number>,
  channels: Int32Array,
  linked: ReadonlyMap<number, ReadonlyArray<AxisLink>>,
  among: Int32Array | undefined,
  sources: PatternSources,
): Plan | undefined => {
  const expected = shape.map((size, a) => (a === axis && among !== undefined ? among.length : size))
  const inputs: Array<Tensor | undefined> = []
  const errors: Array<Errors | undefined> = []
  let count = sizeOf(expected)
  for (const [port, value] of node.inputs.entries()) {
    const link = linked.get(port)?.[0]
    const constant = graph.constants.get(value)
    if (value === '') inputs.push(undefined)
    else if (constant !== undefined) {
      inputs.push(among === undefined || link === undefined ? constant : gather(constant, link.inputAxis, among))
    } else {
      const dtype = dtypeOf(graph.types.get(value))
      const laidOut = dtype && (link === undefined ? filled(graph, value, sources) : undefined)
      const indices =
        among ?? Int32Array.from({ length: singleShape(graph, value)?.[link?.inputAxis ?? 0] ?? 0 }, (_, i) => i)
      const found = laidOut ?? (link && layOut(graph, value, link.inputAxis, indices, sources))
      if (found === undefined || dtype === undefined) return undefined
      inputs.push(tensorOf(dtype, found.shape, found.values))
      errors[port] = found.errors
      count += found.values.length
    }
  }
  const ctx = constantContext(graph, node, inputs)
  const type = ctx?.outputs[output]
  const made = type?.kind === 'tensor' ? staticShape(type.shape) : undefined
  if (ctx === undefined || made?.join() !== expected.join()) return undefined
  return {
    work: ((op.macs?.(ctx) ?? 0) + count * elementCost) * evaluationsMoved,
    compute: () => {
      const found = evaluateMoved(graph, node, inputs, errors, axis)?.[output]
      if (found === undefined || among !== undefined) return found
      const sizes = Float64Array.from(channels, (i) => found.errors.sizes[i] ?? Infinity)
      return { tensor: materialize(gather(found.tensor, axis, channels)), errors: { axis, sizes } }
    },
  }
}

/** A value that holds one number. */
const filled = (
  graph: Graph,
  value: ValueId,
  { constants }: PatternSources,
): { readonly values: Float64Array; readonly shape: ReadonlyArray<number>; readonly errors: Errors } | undefined => {
  const [shape, number] = [singleShape(graph, value), constants.uniform(value)]
  if (shape === undefined || number === undefined) return undefined
  const sizes = Float64Array.of(constants.error(value))
  return { values: new Float64Array(sizeOf(shape)).fill(number), shape, errors: { axis: undefined, sizes } }
}

/** Sorts evaluated channels: those of one number, those that differ along axes other than the first, and those not known. */
const sorted = ({ tensor, errors: { sizes } }: Approximation, axis: number, channels: Int32Array): Evaluated => {
  const values = numbersOf(tensor)
  const inner = sizeOf(tensor.shape.slice(axis + 1))
  const outer = sizeOf(tensor.shape.slice(0, axis))
  const samples = axis === 0 ? 1 : (tensor.shape[0] ?? 1)
  const numbers = new Map<number, { readonly value: number; readonly error: number }>()
  const slices = new Map<number, { readonly slice: Float64Array; readonly error: number }>()
  for (const [k, channel] of channels.entries()) {
    const error = sizes[k] ?? Infinity
    if (error === Infinity) continue
    const all = new Float64Array(outer * inner)
    for (let n = 0; n < outer; n++) {
      const start = (n * channels.length + k) * inner
      all.set(values.subarray(start, start + inner), n * inner)
    }
    const slice = all.subarray(0, all.length / samples)
    if (repeats(all, 1)) numbers.set(channel, { value: all[0] ?? NaN, error })
    else if (repeats(all, slice.length)) slices.set(channel, { slice, error })
  }
  const patterns: PatternFact = {
    axis,
    has: (channel) => slices.has(channel),
    slice: (channel) => slices.get(channel)?.slice ?? new Float64Array(),
    error: (channel) => slices.get(channel)?.error ?? 0,
  }
  return { patterns: slices.size === 0 ? undefined : patterns, numbers }
}

/** Whether numbers come again after each `period` of them. */
const repeats = (values: Float64Array, period: number): boolean => {
  for (let i = period; i < values.length; i++) if (!Object.is(values[i], values[i - period])) return false
  return true
}

/** Which channels hold a number or are patterns. */
export const givenMarks = (known: Known, patterns: Patterns | undefined, size: number): Marks => {
  if (patterns === undefined && typeof known === 'number') return Number.isNaN(known) ? 0 : 1
  const marks = new Uint8Array(size)
  for (let i = 0; i < size; i++) marks[i] = !Number.isNaN(at(known, i)) || patterns?.has(i) === true ? 1 : 0
  return marks
}
