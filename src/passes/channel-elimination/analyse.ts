/**
 * What is known of every channel. A channel is an index along an axis of a value.
 *
 * Forward: a channel is *constant* when it holds the same number at every position and for every input of the model.
 * Backward: a channel is *live* when some graph output depends on it through non-zero weights. A constant channel needs no
 * reader, so what only feeds constant channels is dead. Both run over the graph once; it has no cycles.
 *
 * This is conditional constant propagation (Wegman and Zadeck) and liveness, at the granularity of channels.
 */
import { constantOutputs, neededInputs, type Reads, readsOfContraction } from '../../ir/families/contraction.ts'
import { memoized } from '../../ir/analysis.ts'
import { type DType, isFloat } from '../../ir/dtype.ts'
import { contextOf, type Graph, readsOf } from '../../ir/graph.ts'
import { isAccurate, precisionOf, roundTo } from '../../ir/numerics.ts'
import { shapeOf } from '../../ir/links.ts'
import type { AxisLink, Contraction, Node, NodeContext, SliceFact, ValueId } from '../../ir/op.ts'
import { type AnyOp, opOf } from '../../ir/registry.ts'
import { sliceConstants, uniformValue } from '../../ir/slices.ts'
import { isStatic } from '../../ir/type.ts'

/** A node with everything the phases ask its operator, asked once. */
export interface NodeView {
  readonly node: Node
  readonly op: AnyOp
  readonly ctx: NodeContext<unknown>
  readonly links: ReadonlyArray<AxisLink> | 'opaque'
  readonly contraction: Contraction | undefined
  readonly reads: Reads | undefined
}

export const viewsOf = memoized((graph): ReadonlyArray<NodeView> =>
  graph.nodes.map((node) => {
    const op = opOf(node)
    const ctx = contextOf(graph, node)
    const links = op.links === 'opaque' ? 'opaque' : op.links(ctx)
    const contraction = links === 'opaque' ? undefined : op.contraction?.(ctx)
    const reads = contraction && readsOfContraction(ctx, contraction)
    return { node, op, ctx, links, contraction, reads }
  }),
)

/** A channel: index `index` along `axis` of `value`. */
export interface Channel {
  readonly value: ValueId
  readonly axis: number
  readonly index: number
}

/** A channel that is computed as before although nothing needs it. */
export interface Endangered extends Channel {
  /** The node that makes it. */
  readonly maker: Node
}

export interface ChannelFacts {
  readonly endangered: ReadonlyArray<Endangered>
  /** Along an axis the constant each channel holds, NaN where none is known; undefined when none is known at all. */
  readonly constants: (value: ValueId, axis: number) => Float64Array | undefined
  /** The number that all of a value holds, if there is one. */
  readonly uniform: (value: ValueId) => number | undefined
  /** Along an axis 1 for each channel that an output depends on. Undefined for an axis of unknown size. */
  readonly live: (value: ValueId, axis: number) => Uint8Array | undefined
  /**
   * Along an axis 1 for each channel whose numbers must stay as they are: live ones, and constant ones, since what was
   * concluded from a constant holds only while it is that constant.
   */
  readonly exact: (value: ValueId, axis: number) => Uint8Array | undefined
  /** Of a contraction, 1 for each input channel that one of its needed, not constant outputs reads. */
  readonly needed: (node: Node) => Uint8Array | undefined
}

/** Sizes of a value's axes, undefined where not static. */
export const axesOf = (graph: Graph, value: ValueId): ReadonlyArray<number | undefined> =>
  shapeOf(graph.types.get(value))?.map((dim) => (isStatic(dim) ? dim : undefined)) ?? []

/** Facts of a graph. Endangered channels count as needed even though no output depends on them. */
export const analyse = (graph: Graph, endangered: ReadonlyArray<Endangered> = []): ChannelFacts => {
  const constants = propagateConstants(graph)
  const { live: marks, needed } = propagateLiveness(graph, constants, endangered)
  const live = (value: ValueId, axis: number): Uint8Array | undefined => {
    const size = axesOf(graph, value)[axis]
    return size === undefined ? undefined : (marks.get(value)?.[axis] ?? new Uint8Array(size))
  }
  return {
    endangered,
    constants: constants.along,
    uniform: constants.uniform,
    live,
    needed: (node) => needed.get(node),
    exact: (value, axis) => {
      const known = constants.along(value, axis)
      return live(value, axis)?.map((l, i) => (l === 1 || !Number.isNaN(known?.[i] ?? NaN) ? 1 : 0))
    },
  }
}

export interface Constants {
  readonly along: (value: ValueId, axis: number) => Float64Array | undefined
  /** The number that all of a value holds, if there is one. */
  readonly uniform: (value: ValueId) => number | undefined
}

/** Along an axis the constants of its channels, and how far what a runtime computes may be from each. */
interface Measured {
  readonly values: Float64Array
  readonly errors: Float64Array
}

type Facts = ReadonlyMap<ValueId, ReadonlyArray<Measured | undefined>>

/** The forward analysis alone. */
export const propagateConstants = memoized((graph): Constants => {
  const facts = new Map<ValueId, ReadonlyArray<Measured | undefined>>()
  const along = (value: ValueId, axis: number): Float64Array | undefined => {
    const tensor = graph.constants.get(value)
    return tensor === undefined ? facts.get(value)?.[axis]?.values : sliceConstants(tensor, axis)
  }
  const uniform = (value: ValueId): number | undefined => {
    const tensor = graph.constants.get(value)
    if (tensor !== undefined) return uniformValue(tensor)
    for (const axis of facts.get(value) ?? []) {
      const first = axis?.values[0]
      if (first !== undefined && !Number.isNaN(first) && axis?.values.every((x) => x === first)) return first
    }
    return undefined
  }
  const known: Constants = { along, uniform }
  for (const view of viewsOf(graph)) {
    view.node.outputs.forEach((output, k) => {
      if (output === '') return
      const found = axesOf(graph, output).map((size, axis) =>
        size === undefined ? undefined : constantsOfAxis(view, k, axis, size, known, facts),
      )
      if (found.some((x) => x !== undefined)) facts.set(output, found)
    })
  }
  return known
})

const constantsOfAxis = (
  view: NodeView,
  output: number,
  axis: number,
  size: number,
  known: Constants,
  facts: Facts,
): Measured | undefined => {
  const { op, ctx, node, links, contraction, reads } = view
  const type = ctx.outputs[output]
  if (links === 'opaque' || type?.kind !== 'tensor' || !isFloat(type.dtype)) return undefined
  if (contraction !== undefined && reads !== undefined) {
    if (output !== 0 || axis !== contraction.outputAxis) return undefined
    const input = node.inputs[contraction.port] ?? ''
    const errors = facts.get(input)?.[contraction.axis]?.errors
    return trusted(type.dtype, constantOutputs(reads, known.along(input, contraction.axis), errors))
  }
  const { constant, accurateTo } = op
  if (constant === undefined) return undefined
  const errorsOf = (value: ValueId, at: number): Float64Array | undefined => facts.get(value)?.[at]?.errors
  const largestError = (value: ValueId): number => {
    const [first] = facts.get(value)?.flatMap((x) => (x === undefined ? [] : [x.errors])) ?? []
    return first?.reduce((a, b) => Math.max(a, b), 0) ?? 0
  }
  const ports = node.inputs.map((input, port) => ({
    value: sliceReader(input, port, output, axis, links, known.along, known.uniform),
    error: sliceReader(input, port, output, axis, links, errorsOf, largestError),
  }))
  const unit = 2 ** -precisionOf(type.dtype).digits
  const measured: Measured = { values: new Float64Array(size).fill(NaN), errors: new Float64Array(size) }
  const slices: SliceFact[] = new Array<SliceFact>(ports.length)
  for (let i = 0; i < size; i++) {
    for (let p = 0; p < ports.length; p++) slices[p] = ports[p]?.value(i)
    const value = constant(ctx, slices, output, axis)
    if (value === undefined) continue
    let error = unit * Math.max(Math.abs(value), accurateTo?.(ctx, slices) ?? 0)
    // What an operand may be off by, its own rounding at least, moves the result.
    for (let p = 0; p < ports.length; p++) {
      const x = slices[p]
      if (typeof x !== 'number' || x === 0) continue
      const off = Math.max(ports[p]?.error(i) ?? 0, unit * Math.abs(x))
      for (const moved of [x - off, x + off]) {
        const other = constant(ctx, slices.with(p, moved), output, axis) ?? NaN
        error = Math.max(error, Math.abs(other - value))
        if (Number.isNaN(other)) error = Infinity
      }
    }
    measured.values[i] = value
    measured.errors[i] = error
  }
  return trusted(type.dtype, measured)
}

/**
 * The constants that are exact enough to be known, rounded to their type: what a runtime computes in the tail of a function,
 * or where terms cancel, may be any small number. A zero is known only where it is certain.
 */
const trusted = (dtype: DType, { values, errors }: Measured): Measured | undefined => {
  const precision = precisionOf(dtype)
  let some = false
  for (let i = 0; i < values.length; i++) {
    const value = roundTo(dtype, values[i] ?? NaN)
    const isKnown = Number.isFinite(value) && isAccurate(precision, value, errors[i] ?? 0)
    values[i] = isKnown ? value : NaN
    some ||= isKnown
  }
  return some ? { values, errors } : undefined
}

/** For one input port: what its slice that belongs to an output index holds. */
export const sliceReader = (
  input: ValueId,
  port: number,
  output: number,
  axis: number,
  links: ReadonlyArray<AxisLink>,
  along: (value: ValueId, axis: number) => Float64Array | undefined,
  uniform: (value: ValueId) => number | undefined,
): ((index: number) => SliceFact) => {
  if (input === '') return () => null
  const mine = links.filter((l) => l.input === port && l.output === output && l.outputAxis === axis)
  if (mine.length === 0) {
    const whole = uniform(input)
    return () => whole
  }
  const readers = mine.map((link) => linkReader(link, along(input, link.inputAxis)))
  return (index) => {
    let fact: SliceFact = undefined
    for (const read of readers) {
      const one = read(index)
      if (one === null) return null
      fact ??= one
    }
    return fact
  }
}

const linkReader = (link: AxisLink, values: Float64Array | undefined): ((index: number) => SliceFact) => {
  const at = (i: number): SliceFact => {
    const value = values?.[i] ?? NaN
    return Number.isNaN(value) ? undefined : value
  }
  if (link.from !== undefined) {
    const { from } = link
    return (index) => {
      const i = from[index] ?? -1
      return i < 0 ? null : at(i)
    }
  }
  if (link.into !== undefined) {
    const sources = new Map<number, SliceFact>()
    link.into.forEach((o, i) => {
      const value = at(i)
      sources.set(o, sources.has(o) && sources.get(o) !== value ? undefined : value)
    })
    return (index) => (sources.has(index) ? sources.get(index) : null)
  }
  return at
}

type Marks = ReadonlyArray<Uint8Array | undefined>

interface Liveness {
  readonly live: ReadonlyMap<ValueId, Marks>
  readonly needed: ReadonlyMap<Node, Uint8Array>
}

const propagateLiveness = (graph: Graph, constants: Constants, alive: ReadonlyArray<Channel>): Liveness => {
  const live = new Map<ValueId, Marks>()
  const needed = new Map<Node, Uint8Array>()
  const marksOf = (value: ValueId): Marks => {
    const known = live.get(value)
    if (known) return known
    const marks = axesOf(graph, value).map((size) => (size === undefined ? undefined : new Uint8Array(size)))
    live.set(value, marks)
    return marks
  }
  const markAll = (value: ValueId): void => {
    for (const marks of marksOf(value)) marks?.fill(1)
  }
  for (const output of graph.outputs) markAll(output.name)
  for (const value of graph.preserved.uses) markAll(value)
  for (const { value, axis, index } of alive) {
    marksOf(value).forEach((marks, a) => (a === axis ? marks?.fill(1, index, index + 1) : marks?.fill(1)))
  }
  const views = viewsOf(graph)
  for (let v = views.length - 1; v >= 0; v--) {
    const view = views[v]
    if (view === undefined) continue
    const { node, op, ctx, links } = view
    // Per output the channels that have to be computed: live, and not already known to be constant.
    const wanted = node.outputs.map((output) => wantedOf(output, live.get(output), constants))
    if (wanted.every((w) => w === undefined)) continue
    if (links === 'opaque') {
      for (const input of readsOf(node)) if (!graph.constants.has(input)) markAll(input)
      continue
    }
    const { contraction: c, reads } = view
    if (c !== undefined && reads !== undefined) {
      const rows = wanted[0]?.[c.outputAxis]
      needed.set(
        node,
        neededInputs(reads, (o) => rows?.[o] !== 0),
      )
    }
    node.inputs.forEach((input, port) => {
      if (input === '' || graph.constants.has(input)) return
      marksOf(input).forEach((marks, axis) => {
        if (marks === undefined || op.ignores?.(ctx, port, axis) === true) return
        const read =
          c?.port === port && c.axis === axis ? needed.get(node) : neededAlong(port, axis, marks.length, wanted, links)
        for (let i = 0; i < marks.length; i++) if (read?.[i] === 1) marks[i] = 1
      })
    })
  }
  return { live, needed }
}

/** Undefined when nothing of the value has to be computed. */
const wantedOf = (value: ValueId, marks: Marks | undefined, constants: Constants): Marks | undefined => {
  if (marks === undefined) return undefined
  const wanted = marks.map((live, axis) => {
    if (live === undefined) return undefined
    const known = constants.along(value, axis)
    return known === undefined ? live : live.map((l, i) => (l === 1 && Number.isNaN(known[i]) ? 1 : 0))
  })
  return wanted.some((w) => w !== undefined && w.length > 0 && !w.includes(1)) ? undefined : wanted
}

/** The indices of an input axis that the wanted outputs depend on through the operator's links. */
const neededAlong = (
  port: number,
  axis: number,
  size: number,
  wanted: ReadonlyArray<Marks | undefined>,
  links: ReadonlyArray<AxisLink>,
): Uint8Array => {
  const out = new Uint8Array(size)
  wanted.forEach((outputs, k) => {
    if (outputs === undefined) return
    // An index is needed when every linked output axis wants something made from it.
    const needed = new Uint8Array(size).fill(1)
    for (const link of links) {
      if (link.input !== port || link.inputAxis !== axis || link.output !== k) continue
      const reached = reachedBy(link, outputs[link.outputAxis], size)
      for (let i = 0; i < size; i++) if (reached[i] === 0) needed[i] = 0
    }
    for (let i = 0; i < size; i++) if (needed[i] === 1) out[i] = 1
  })
  return out
}

const reachedBy = (link: AxisLink, wanted: Uint8Array | undefined, size: number): Uint8Array => {
  const out = new Uint8Array(size)
  if (wanted === undefined) return out.fill(1)
  if (link.from !== undefined) {
    link.from.forEach((i, o) => {
      if (i >= 0 && wanted[o] === 1) out[i] = 1
    })
  } else if (link.into !== undefined) {
    link.into.forEach((o, i) => {
      if (o >= 0 && wanted[o] === 1) out[i] = 1
    })
  } else out.set(wanted)
  return out
}
