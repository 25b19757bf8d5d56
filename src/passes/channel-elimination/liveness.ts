/**
 * Live channels, backwards: those that a graph output depends on through non-zero weights. A known channel needs no reader, so
 * what only feeds known channels is dead.
 */
import { neededInputs } from '../../ir/families/contraction.ts'
import { type Graph, readsOf } from '../../ir/graph.ts'
import { placeOf } from '../../ir/links.ts'
import type { AxisLink, Node, Statistics, ValueId } from '../../ir/op.ts'
import type { Constants } from './constants.ts'
import type { Joint } from './joints.ts'
import { bundlesOf, isAt, neededByBundle } from './mixing.ts'
import { idleIndices } from './pairs.ts'
import { at, type Marks } from './slice-readers.ts'
import { trackingOf } from './tracking.ts'
import { axesOf, type Channel, jointOf, ownAxesOf, partnerOf, viewsOf } from './views.ts'

export interface Liveness {
  /** Along each axis of a value; what is not there is dead. */
  readonly live: ReadonlyMap<ValueId, ReadonlyArray<Marks>>
  readonly needed: ReadonlyMap<Node, Uint8Array>
  /** Where a node needs some channels along an axis of an input and others not: which. */
  readonly partial: ReadonlyMap<Node, ReadonlyArray<PartialNeed>>
}

/** Along an axis of the input on a port 1 for each channel that a node needs. */
export interface PartialNeed {
  readonly port: number
  readonly axis: number
  readonly marks: Uint8Array
}

/** Channels in `alive` count as needed even though no output depends on them. */
export const propagateLiveness = (graph: Graph, constants: Constants, alive: ReadonlyArray<Channel>): Liveness => {
  const live = new Map<ValueId, Marks[]>()
  const needed = new Map<Node, Uint8Array>()
  const partial = new Map<Node, PartialNeed[]>()
  const note = (node: Node, port: number, axis: number, marks: Marks): void => {
    if (typeof marks === 'number' || !marks.includes(0) || !marks.includes(1)) return
    const known = partial.get(node)
    if (known === undefined) partial.set(node, [{ port, axis, marks }])
    else known.push({ port, axis, marks })
  }
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
    const marks = marksOf(value)
    const joint = axis < ownAxesOf(graph, value).length ? undefined : jointOf(graph, value)
    const places = joint && [
      { axis: joint.outer, index: Math.floor(index / joint.innerSize) },
      { axis: joint.inner, index: index % joint.innerSize },
    ]
    const before = marks.slice()
    marks.fill(1)
    for (const part of [{ axis, index }, ...(places ?? [])]) {
      const size = axesOf(graph, value)[part.axis]
      const old = before[part.axis] ?? 0
      if (size === undefined || !tracking.tracked(value, part.axis)) continue
      const one = typeof old === 'number' ? new Uint8Array(size).fill(old) : old
      one[part.index] = 1
      marks[part.axis] = one
    }
  }
  const views = viewsOf(graph)
  for (let v = views.length - 1; v >= 0; v--) {
    const view = views[v]
    if (view === undefined) continue
    const { node, op, ctx, links, contraction: c, reads, pairs, statistics } = view
    for (const output of node.outputs) {
      const joint = jointOf(graph, output)
      if (joint !== undefined && tracking.tracked(output, joint.inner)) narrow(joint, live.get(output))
    }
    // Per output the channels that have to be computed: live, and not given.
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
    const mixed = neededByBundle(graph, view, wanted, constants)
    const bundles = bundlesOf(graph, view)
    bundles.forEach((bundle, k) => {
      for (const { side, port, value, axis } of bundle) {
        const marks = marksOf(value)
        marks[axis] = either(marks[axis] ?? 0, wholeMarks(mixed[k] ?? new Uint8Array()))
        if (side === 'input') note(node, port, axis, mixed[k] ?? 0)
        if (side === 'input' && k === view.mixing?.layer.inputs) needed.set(node, mixed[k] ?? new Uint8Array())
      }
    })
    const linked = node.inputs.map((): AxisLink[] => [])
    for (const link of links) linked[link.input]?.push(link)
    node.inputs.forEach((input, port) => {
      if (input === '' || graph.constants.has(input)) return
      const sizes = axesOf(graph, input)
      const marks = marksOf(input)
      sizes.forEach((size, axis) => {
        const joint = axis < ownAxesOf(graph, input).length ? undefined : jointOf(graph, input)
        const parts = joint === undefined ? [axis] : [joint.outer, joint.inner]
        if (size === undefined || parts.every((part) => op.ignores?.(ctx, port, part))) return
        if (marks[axis] === 1 && !tracking.tracked(input, axis)) return
        if (bundles.some((bundle) => bundle.some((one) => isAt(one, 'input', port, axis)))) return
        const ofAxis = linked[port]?.filter((link) => link.inputAxis === axis) ?? []
        const isSummed = c?.port === port && c.axis === axis
        const together = statistics.find((one) => one.port === port && one.axis === axis)
        const partner = partnerOf(pairs, port, axis)
        const read = isSummed
          ? (needed.get(node) ?? 0)
          : together !== undefined
            ? neededTogether(together, size, wanted)
            : partner !== undefined
              ? neededBeside(idleIndices(graph, node, partner.pair, partner.side, constants), size)
              : neededAlong(tracking.tracked(input, axis) ? size : undefined, wanted, ofAxis)
        note(node, port, axis, read)
        marks[axis] = either(marks[axis] ?? 0, read)
      })
    })
  }
  return { live, needed, partial }
}

/** Of a joint axis what is needed neither with its head nor with its place is not, nor a head of which no place is. */
const narrow = ({ outer, inner, outerSize, innerSize }: Joint, marks: Marks[] | undefined): void => {
  const own = marks?.at(-1)
  if (marks === undefined || own === undefined) return
  const [heads, places] = [marks[outer] ?? 0, marks[inner] ?? 0]
  if (own === 1 && heads === 1 && places === 1) return
  const cells = new Uint8Array(outerSize * innerSize)
  const left = new Uint8Array(outerSize)
  for (let i = 0; i < cells.length; i++) {
    const head = Math.floor(i / innerSize)
    cells[i] = at(own, i) & at(heads, head) & at(places, i % innerSize)
    if (cells[i] === 1) left[head] = 1
  }
  marks[marks.length - 1] = cells
  marks[outer] = left
}

/** Where what is multiplied with it makes it idle, an operand of `size` need not be computed. */
const neededBeside = (isIdle: (index: number) => boolean, size: number): Marks =>
  wholeMarks(new Uint8Array(size).map((_, i) => (isIdle(i) ? 0 : 1)))

/** Marks that are all the same as one number. */
const wholeMarks = (marks: Uint8Array): Marks => (!marks.includes(1) ? 0 : marks.includes(0) ? marks : 1)

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
    const given = constants.given(value, axis)
    if (typeof given === 'number') return given === 0 ? live : 0
    return given.map((mark, i) => (at(live, i) === 1 && mark === 0 ? 1 : 0))
  })
  const isDone = (axis: number): boolean => {
    const one = wanted[axis] ?? 0
    return one !== 1 && (one === 0 || !one.includes(1))
  }
  // An axis of unknown size has no facts, and one without indices nothing to compute.
  return sizes.some((size = 0, axis) => size > 0 && isDone(axis)) ? undefined : wanted
}

/** The channels of an input axis of `size` that are normalised together with one of which the result is wanted. */
const neededTogether = (
  { groups, links }: Statistics,
  size: number,
  wanted: ReadonlyArray<ReadonlyArray<Marks> | undefined>,
): Marks => {
  const [made] = links
  const marks = (groups > 1 && made && wanted[made.output]?.[made.outputAxis]) || 1
  if (marks === 1) return 1
  const perGroup = size / groups
  const isWanted = new Uint8Array(groups)
  marks.forEach((mark, i) => {
    if (mark === 1) isWanted[Math.floor(i / perGroup)] = 1
  })
  return new Uint8Array(size).map((_, i) => isWanted[Math.floor(i / perGroup)] ?? 0)
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
  if (from !== undefined && into !== undefined) {
    const handles = new Set<number>()
    for (let o = from.first; o < from.end; o++) if (at(wanted, o) === 1) handles.add(from.at(o))
    return new Uint8Array(size).map((_, i) => (handles.has(placeOf(into, i)) ? 1 : 0))
  }
  if (wanted === 1 && (from?.onto === true || (into !== undefined && into.first === 0 && into.end === size))) return 1
  const out = new Uint8Array(size)
  if (from !== undefined) for (let o = from.first; o < from.end; o++) if (at(wanted, o) === 1) out[from.at(o)] = 1
  if (into !== undefined) for (let i = into.first; i < into.end; i++) out[i] = at(wanted, into.at(i))
  return out
}
