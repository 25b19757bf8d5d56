/**
 * What is known of every channel. A channel is an index along an axis of a value.
 *
 * Forward: a channel is *constant* when it holds the same number at every position and for every input of the model.
 * Backward: a channel is *live* when some graph output depends on it through non-zero weights. A constant channel needs no
 * reader, so what only feeds constant channels is dead. Both run over the graph once; it has no cycles.
 *
 * This is conditional constant propagation (Wegman and Zadeck) and liveness, at the granularity of channels. What is the
 * same for all channels along an axis is one number; only where they differ is there an array, and only along tracked axes.
 */
import { constantOutputs, neededInputs } from '../../ir/families/contraction.ts'
import { memoized } from '../../ir/analysis.ts'
import { type DType, isFloat } from '../../ir/dtype.ts'
import { type Graph, readsOf } from '../../ir/graph.ts'
import { placeOf } from '../../ir/links.ts'
import { isAccurate, precisionOf, roundTo } from '../../ir/numerics.ts'
import type { AxisLink, Node, SliceFact, ValueId } from '../../ir/op.ts'
import { sliceConstants, uniformValue } from '../../ir/slices.ts'
import { trackingOf } from './tracking.ts'
import { axesOf, type Channel, type NodeView, viewsOf } from './views.ts'

export { axesOf, type Channel, type NodeView, viewsOf } from './views.ts'

/** A channel that is computed as before although nothing needs it. */
export interface Endangered extends Channel {
  /** The node that makes it. */
  readonly maker: Node
}

export interface ChannelFacts {
  readonly endangered: ReadonlyArray<Endangered>
  /** Along an axis the constant each channel holds, NaN where none is known; undefined when none is known at all. */
  readonly constants: (value: ValueId, axis: number) => Float64Array | undefined
  /** The same, as one number where it is the same for all; NaN where none is known. */
  readonly known: (value: ValueId, axis: number) => Known
  /** The number that all of a value holds, if there is one. */
  readonly uniform: (value: ValueId) => number | undefined
  /** Along an axis 1 for each channel that an output depends on. Undefined for an axis of unknown size. */
  readonly live: (value: ValueId, axis: number) => Uint8Array | undefined
  /**
   * Along an axis 1 for each channel whose numbers must stay as they are: live ones, and constant ones, since what was
   * concluded from a constant holds only while it is that constant.
   */
  readonly exact: (value: ValueId, axis: number) => Uint8Array | undefined
  /** Whether an output depends on anything of a value. */
  readonly isUsed: (value: ValueId) => boolean
  /** How many channels along an axis are dead or constant. */
  readonly removable: (value: ValueId, axis: number) => number
  /** Whether some channel along an axis is dead or constant, or is not read by some contraction over it. */
  readonly idle: (value: ValueId, axis: number) => boolean
  /** Of a contraction, 1 for each input channel that one of its needed, not constant outputs reads. */
  readonly needed: (node: Node) => Uint8Array | undefined
}

/** Facts of a graph. Endangered channels count as needed even though no output depends on them. */
export const analyse = (graph: Graph, endangered: ReadonlyArray<Endangered> = []): ChannelFacts => {
  const constants = channelConstants(graph)
  const { live: marks, needed } = propagateLiveness(graph, constants, endangered)
  const liveAlong = (value: ValueId, axis: number): Marks => marks.get(value)?.[axis] ?? 0
  const live = (value: ValueId, axis: number): Uint8Array | undefined => {
    const size = axesOf(graph, value)[axis]
    if (size === undefined) return undefined
    const found = liveAlong(value, axis)
    return typeof found === 'number' ? new Uint8Array(size).fill(found) : found
  }
  const removable = (value: ValueId, axis: number): number => {
    const size = axesOf(graph, value)[axis] ?? 0
    const [found, known] = [liveAlong(value, axis), constants.known(value, axis)]
    if (typeof found === 'number' && typeof known === 'number') return found === 0 || !Number.isNaN(known) ? size : 0
    let n = 0
    for (let i = 0; i < size; i++) if (at(found, i) === 0 || !Number.isNaN(at(known, i))) n += 1
    return n
  }
  const skipped = new Set<string>()
  for (const { node, contraction: c } of viewsOf(graph)) {
    if (c !== undefined && needed.get(node)?.includes(0) !== false)
      skipped.add(`${c.axis} ${node.inputs[c.port] ?? ''}`)
  }
  return {
    endangered,
    constants: constants.along,
    known: constants.known,
    uniform: constants.uniform,
    live,
    needed: (node) => needed.get(node),
    exact: (value, axis) => {
      const known = constants.along(value, axis)
      return live(value, axis)?.map((l, i) => (l === 1 || !Number.isNaN(known?.[i] ?? NaN) ? 1 : 0))
    },
    isUsed: (value) =>
      axesOf(graph, value).some((size, axis) => {
        const found = size === undefined ? 0 : liveAlong(value, axis)
        return found === 1 || (found !== 0 && found.includes(1))
      }),
    removable,
    idle: (value, axis) => skipped.has(`${axis} ${value}`) || removable(value, axis) > 0,
  }
}

/** A number for each channel along an axis; one number where it is the same for all. */
export type Known = number | Float64Array

/** Along an axis 1 for what is needed; one number where it is the same for all. */
type Marks = 0 | 1 | Uint8Array

const at = (values: number | Float64Array | Uint8Array, index: number): number =>
  typeof values === 'number' ? values : (values[index] ?? NaN)

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
  }
  const sources: Sources = {
    constants,
    errors: (value, axis) => facts.get(value)?.[axis]?.errors ?? 0,
  }
  for (const view of viewsOf(graph)) {
    view.node.outputs.forEach((output, k) => {
      if (output === '') return
      const found = axesOf(graph, output).map((size = 0, axis) =>
        size === 0 ? nothing : constantsOfAxis(view, k, axis, size, sources, tracking.tracked(output, axis)),
      )
      if (found.some((one) => one !== nothing)) facts.set(output, found)
    })
  }
  return constants
})

/** What is known so far of values that are defined before. */
interface Sources {
  readonly constants: Constants
  readonly errors: (value: ValueId, axis: number) => Known
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
  if (links === 'opaque' || type?.kind !== 'tensor' || !isFloat(type.dtype)) return nothing
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
  const unit = 2 ** -precisionOf(type.dtype).digits
  if (constant === 'copied') return copyOf(type.dtype, values, offs, size, unit, tracked)
  /** The constant of one index, and its error. */
  const measure = (slices: ReadonlyArray<SliceFact>, off: (port: number) => number): readonly [number, number] => {
    const value = constant(ctx, slices, output, axis)
    if (value === undefined) return [NaN, 0]
    let error = unit * Math.max(Math.abs(value), accurateTo?.(ctx, slices) ?? 0)
    // What an operand may be off by, its own rounding at least, moves the result.
    for (const [port, x] of slices.entries()) {
      if (typeof x !== 'number' || x === 0) continue
      const far = Math.max(off(port), unit * Math.abs(x))
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
 * or where terms cancel, may be any small number. A zero is known only where it is certain.
 */
const trusted = (dtype: DType, { values, errors }: Measured): Measured => {
  const precision = precisionOf(dtype)
  const known = (given: number, error: number): number => {
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

/** Links into an axis of an output, by input port. */
export const linksTo = (
  links: ReadonlyArray<AxisLink>,
  output: number,
  axis: number,
): ReadonlyMap<number, ReadonlyArray<AxisLink>> => {
  const linked = new Map<number, AxisLink[]>()
  for (const link of links) {
    if (link.output !== output || link.outputAxis !== axis) continue
    const known = linked.get(link.input)
    if (known) known.push(link)
    else linked.set(link.input, [link])
  }
  return linked
}

/** For one input port: what its slice that belongs to an output index holds. */
export interface SliceReader {
  readonly at: (index: number) => SliceFact
  /** What it is for every index, if it is the same. */
  readonly fact: SliceFact | 'various'
  /** The first index that the port has a part in, and the one after the last. */
  readonly first: number
  readonly end: number
}

/** Reads what is `known` along the axes of `input` that `links` tie to an output axis of `size`; without links, of all of it. */
export const sliceReader = (
  input: ValueId,
  links: ReadonlyArray<AxisLink>,
  size: number,
  known: (value: ValueId, axis: number) => Known,
  uniform: (value: ValueId) => number | undefined,
): SliceReader => {
  const always = (fact: SliceFact): SliceReader => ({ at: () => fact, fact, first: 0, end: size })
  if (input === '') return { ...always(null), end: 0 }
  const [link, ...others] = links
  if (link === undefined) return always(uniform(input))
  const reader = linkReader(link, known(input, link.inputAxis), size)
  if (others.length === 0) return reader
  const readers = [reader, ...others.map((one) => linkReader(one, known(input, one.inputAxis), size))]
  return {
    at: (index) => {
      let fact: SliceFact = undefined
      for (const read of readers) {
        const one = read.at(index)
        if (one === null) return null
        fact ??= one
      }
      return fact
    },
    fact: readers.every((one) => one.fact === undefined) ? undefined : 'various',
    first: 0,
    end: size,
  }
}

const factOf = (value: number): SliceFact => (Number.isNaN(value) ? undefined : value)

const linkReader = ({ from, into }: AxisLink, values: Known, size: number): SliceReader => {
  const uniform = typeof values === 'number' ? factOf(values) : 'various'
  if (from !== undefined) {
    const total = from.first === 0 && from.end === size
    return {
      at: (index) => {
        const place = placeOf(from, index)
        return place < 0 ? null : factOf(at(values, place))
      },
      fact: total ? uniform : 'various',
      first: from.first,
      end: from.end,
    }
  }
  if (into !== undefined) {
    if (into.onto && uniform !== 'various') return { at: () => uniform, fact: uniform, first: 0, end: size }
    let sources: Map<number, SliceFact> | undefined
    const collect = (): Map<number, SliceFact> => {
      const out = new Map<number, SliceFact>()
      for (let i = into.first; i < into.end; i++) {
        const [place, value] = [into.at(i), factOf(at(values, i))]
        out.set(place, out.has(place) && out.get(place) !== value ? undefined : value)
      }
      return out
    }
    return {
      at: (index) => {
        sources ??= collect()
        return sources.has(index) ? sources.get(index) : null
      },
      fact: 'various',
      first: 0,
      end: size,
    }
  }
  return { at: (index) => factOf(at(values, index)), fact: uniform, first: 0, end: size }
}

/** What each port holds for every index; undefined where that differs for one of them. */
const wholeFacts = (readers: ReadonlyArray<SliceReader>): ReadonlyArray<SliceFact> | undefined => {
  const facts: SliceFact[] = []
  for (const { fact } of readers) {
    if (fact === 'various') return undefined
    facts.push(fact)
  }
  return facts
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

interface Liveness {
  /** Along each axis of a value; what is not there is dead. */
  readonly live: ReadonlyMap<ValueId, ReadonlyArray<Marks>>
  readonly needed: ReadonlyMap<Node, Uint8Array>
}

const propagateLiveness = (graph: Graph, constants: Constants, alive: ReadonlyArray<Channel>): Liveness => {
  const live = new Map<ValueId, Marks[]>()
  const needed = new Map<Node, Uint8Array>()
  const tracking = trackingOf(graph)
  const marksOf = (value: ValueId): Marks[] => {
    const known = live.get(value)
    if (known) return known
    const marks = axesOf(graph, value).map((size): Marks => (size === undefined ? 1 : 0))
    live.set(value, marks)
    return marks
  }
  const markAll = (value: ValueId): void => {
    marksOf(value).fill(1)
  }
  for (const output of graph.outputs) markAll(output.name)
  for (const value of graph.preserved.uses) markAll(value)
  for (const { value, axis, index } of alive) {
    const size = axesOf(graph, value)[axis]
    const marks = marksOf(value)
    const before = marks[axis] ?? 0
    marks.fill(1)
    if (size === undefined || !tracking.tracked(value, axis)) continue
    const one = typeof before === 'number' ? new Uint8Array(size).fill(before) : before
    one[index] = 1
    marks[axis] = one
  }
  const views = viewsOf(graph)
  for (let v = views.length - 1; v >= 0; v--) {
    const view = views[v]
    if (view === undefined) continue
    const { node, op, ctx, links, contraction: c, reads } = view
    // Per output the channels that have to be computed: live, and not already known to be constant.
    const wanted = node.outputs.map((output) => wantedOf(graph, output, live.get(output), constants))
    if (wanted.every((w) => w === undefined)) continue
    if (links === 'opaque') {
      for (const input of readsOf(node)) if (!graph.constants.has(input)) markAll(input)
      continue
    }
    if (c !== undefined && reads !== undefined) {
      const rows = wanted[0]?.[c.outputAxis] ?? 1
      needed.set(
        node,
        neededInputs(reads, (o) => at(rows, o) !== 0),
      )
    }
    const linked = node.inputs.map((): AxisLink[] => [])
    for (const link of links) linked[link.input]?.push(link)
    node.inputs.forEach((input, port) => {
      if (input === '' || graph.constants.has(input)) return
      const sizes = axesOf(graph, input)
      const marks = marksOf(input)
      sizes.forEach((size, axis) => {
        if (size === undefined || marks[axis] === 1 || op.ignores?.(ctx, port, axis) === true) return
        const ofAxis = linked[port]?.filter((link) => link.inputAxis === axis) ?? []
        const isSummed = c?.port === port && c.axis === axis
        const read = isSummed
          ? (needed.get(node) ?? 0)
          : neededAlong(tracking.tracked(input, axis) ? size : undefined, wanted, ofAxis)
        marks[axis] = either(marks[axis] ?? 0, read)
      })
    })
  }
  return { live, needed }
}

/** What is marked in `a` or in `b`. */
const either = (a: Marks, b: Marks): Marks => {
  if (a === 1 || b === 1) return 1
  if (b === 0) return a
  const out = a === 0 ? b.slice() : a.map((mark, i) => mark | (b[i] ?? 0))
  if (!out.includes(0)) return 1
  return out.includes(1) ? out : 0
}

/** Undefined when nothing of the value has to be computed. */
const wantedOf = (
  graph: Graph,
  value: ValueId,
  marks: ReadonlyArray<Marks> | undefined,
  constants: Constants,
): ReadonlyArray<Marks> | undefined => {
  if (marks === undefined) return undefined
  const sizes = axesOf(graph, value)
  const wanted = marks.map((live, axis): Marks => {
    const known = constants.known(value, axis)
    if (typeof known === 'number') return Number.isNaN(known) ? live : 0
    return Uint8Array.from(known, (value, i) => (at(live, i) === 1 && Number.isNaN(value) ? 1 : 0))
  })
  const isDone = (axis: number): boolean => {
    const one = wanted[axis] ?? 0
    return one !== 1 && (one === 0 || !one.includes(1))
  }
  // An axis of unknown size has no facts, and one without indices nothing to compute.
  return sizes.some((size = 0, axis) => size > 0 && isDone(axis)) ? undefined : wanted
}

/**
 * The indices of an input axis of `size` that the wanted outputs depend on through the links from it. All of an axis that is
 * not tracked, whose `size` is undefined, once one of them is needed.
 */
const neededAlong = (
  size: number | undefined,
  wanted: ReadonlyArray<ReadonlyArray<Marks> | undefined>,
  links: ReadonlyArray<AxisLink>,
): Marks => {
  const byOutput = wanted.map((): AxisLink[] => [])
  for (const link of links) byOutput[link.output]?.push(link)
  let sum: Uint8Array | undefined
  for (const [output, axes] of wanted.entries()) {
    if (axes === undefined) continue
    // An index is needed when every linked output axis wants something made from it.
    let reached: Marks = 1
    for (const link of byOutput[output] ?? []) {
      const one = reachedBy(link, axes[link.outputAxis] ?? 1, size)
      reached = one === 1 ? reached : reached === 1 ? one : both(reached, one)
    }
    if (reached === 1) return 1
    if (reached === 0) continue
    sum ??= new Uint8Array(reached.length)
    for (let i = 0; i < reached.length; i++) if (reached[i] === 1) sum[i] = 1
  }
  return sum ?? 0
}

const both = (a: Uint8Array | 0, b: Uint8Array | 0): Uint8Array | 0 =>
  a === 0 || b === 0 ? 0 : a.map((mark, i) => mark & (b[i] ?? 0))

const reachedBy = ({ from, into }: AxisLink, wanted: Marks, size: number | undefined): Marks => {
  const map = from ?? into
  if (map === undefined) return wanted
  if (wanted === 0 || map.first === map.end) return 0
  if (size === undefined) return 1
  if (wanted === 1 && (from?.onto === true || (into !== undefined && into.first === 0 && into.end === size))) return 1
  const out = new Uint8Array(size)
  if (from !== undefined) for (let o = from.first; o < from.end; o++) if (at(wanted, o) === 1) out[from.at(o)] = 1
  if (into !== undefined) for (let i = into.first; i < into.end; i++) out[i] = at(wanted, into.at(i))
  return out
}
