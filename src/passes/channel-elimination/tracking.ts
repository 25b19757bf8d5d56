/**
 * Along which axes channels are told apart. Batches, images and time are long, and nothing along them can go: of such an
 * axis only what holds for all of it is known, so that it costs nothing however long it is.
 *
 * Axes that links connect share a fate. Channels are told apart where weights or other constants make a difference between
 * them; and where only a part of an axis is passed on, filled up or read, unless all of them have to stay anyway or they are
 * more than the size of the model allows.
 */
import { memoized, usersOf } from '../../ir/analysis.ts'
import { type Failure, failure } from '../../ir/failure.ts'
import { type Graph, labelOf, readsOf } from '../../ir/graph.ts'
import { pairsOf } from '../../ir/links.ts'
import type { AxisLink, IndexMap, ValueId } from '../../ir/op.ts'
import { channelsFor } from '../effort.ts'
import { bundlesOf, isBundled } from './mixing.ts'
import { axesOf, type Channel, jointOf, ownAxesOf, viewsOf } from './views.ts'

/** Why a channel has to stay, in words, with the value or node at fault. */
export interface Reason {
  readonly kind:
    | 'output'
    | 'input'
    | 'opaque'
    | 'mixed'
    | 'live'
    | 'product'
    | 'carrier'
    | 'pattern'
    | 'numbers'
    | 'width'
    | 'groups'
    | 'tie'
    | 'empty'
  readonly at: string
  readonly text: string
  /** Of a class that is `live` the channel that is needed; `needed-by.ts` says by what. */
  readonly channel?: Channel
}

/** The axes of a graph: those of static size, of values that are no constants. */
export interface Tracking {
  readonly count: number
  /** Number of an axis; undefined where its size is not known, and for a constant. */
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  /** Whether channels along an axis are told apart. */
  readonly tracked: (value: ValueId, axis: number) => boolean
  /** The axes that links connect with one, by one of their numbers. */
  readonly familyOf: (id: number) => number
  /** Why all of an axis stays that is not tracked. */
  readonly reason: (value: ValueId, axis: number) => Reason | undefined
  /** Channels along all axes between which constants make a difference. */
  readonly channels: number
}

/** The failure of a graph with more channels than can be told apart, for its size. */
export const tooManyChannels = (graph: Graph): Failure<'ModelTooLarge'> | undefined => {
  const [{ channels }, limit] = [trackingOf(graph), channelsFor(graph)]
  if (channels <= limit) return undefined
  return failure(
    'ModelTooLarge',
    'the model',
    `at most ${limit} channels beside constants of its size`,
    `${channels}, counted over all values`,
    'Check the sizes that its inputs and constants declare.',
  )
}

/** Calls `pin` with every axis that has to stay whole. */
export const pinAxes = (graph: Graph, pin: (value: ValueId, axis: number, reason: Reason) => void): void => {
  const pinAll = (value: ValueId, reason: Reason): void => {
    for (const axis of ownAxesOf(graph, value).keys()) pin(value, axis, reason)
  }
  for (const { name } of graph.outputs) pinAll(name, { kind: 'output', at: name, text: `is the graph output ${name}` })
  for (const { name } of graph.inputs) pinAll(name, { kind: 'input', at: name, text: `is the graph input ${name}` })
  for (const name of graph.preserved.uses) {
    pinAll(name, { kind: 'opaque', at: name, text: `is named by a part of the model that is kept as it is` })
  }
  for (const { node, op, ctx, links, contraction: c, pairs, mixing, statistics } of viewsOf(graph)) {
    const label = labelOf(node)
    if (links === 'opaque') {
      const why = op.keptFor?.(ctx)
      const text = `meets ${label}, which is not looked into${why === undefined ? '' : `: ${why}`}`
      const reason: Reason = { kind: 'opaque', at: label, text }
      for (const value of [...readsOf(node), ...node.outputs]) pinAll(value, reason)
      continue
    }
    const mixed: Reason = { kind: 'mixed', at: label, text: `meets ${label}, which mixes this axis` }
    const read = node.inputs.map((): number[] => [])
    const made = node.outputs.map((): number[] => [])
    for (const link of links) {
      read[link.input]?.push(link.inputAxis)
      made[link.output]?.push(link.outputAxis)
    }
    if (c !== undefined) {
      read[c.port]?.push(c.axis)
      made[0]?.push(c.outputAxis)
    }
    for (const { port, axis } of statistics) read[port]?.push(axis)
    for (const { ports, axes } of pairs) ports.forEach((port, side) => read[port]?.push(axes[side] ?? 0))
    node.inputs.forEach((value, port) => {
      for (const axis of ownAxesOf(graph, value).keys()) {
        const isRead = read[port]?.includes(axis) === true || isBundled(mixing, 'input', port, axis)
        if (!isRead && op.ignores?.(ctx, port, axis) !== true) pin(value, axis, mixed)
      }
    })
    node.outputs.forEach((value, output) => {
      for (const axis of ownAxesOf(graph, value).keys()) {
        const isMade = made[output]?.includes(axis) === true || isBundled(mixing, 'output', output, axis)
        if (!isMade) pin(value, axis, mixed)
      }
    })
  }
}

export const trackingOf = memoized((graph): Tracking => {
  const starts = new Map<ValueId, number>()
  const sizes: Array<number | undefined> = []
  for (const value of graph.types.keys()) {
    if (graph.constants.has(value)) continue
    starts.set(value, sizes.length)
    for (const size of axesOf(graph, value)) sizes.push(size)
  }
  const idOf = (value: ValueId, axis: number): number | undefined => {
    const start = starts.get(value)
    return start === undefined || sizes[start + axis] === undefined ? undefined : start + axis
  }
  const families = disjointSets(sizes.length)
  /** The axes that have to stay whole because another one has to. */
  const edges: Edges = { from: [], to: [] }
  const bind = (from: number, to: number): void => {
    edges.from.push(from)
    edges.to.push(to)
  }
  const told = new Uint8Array(sizes.length)
  const partial = new Uint8Array(sizes.length)
  const mark = (marks: Uint8Array, value: ValueId, axis: number): void => {
    const id = idOf(value, axis)
    if (id !== undefined) marks[id] = 1
  }
  for (const value of starts.keys()) {
    const joint = jointOf(graph, value)
    const own = joint && idOf(value, ownAxesOf(graph, value).length)
    for (const part of joint === undefined ? [] : [joint.outer, joint.inner]) {
      const id = idOf(value, part)
      if (own !== undefined && id !== undefined) families.unite(own, id)
    }
  }
  for (const view of viewsOf(graph)) {
    const { node, op, ctx, links, contraction: c, pairs } = view
    if (links === 'opaque') continue
    for (const { ports, axes } of pairs) {
      const [a, b] = [0, 1].map((side) => idOf(node.inputs[ports[side] ?? 0] ?? '', axes[side] ?? 0))
      if (a === undefined || b === undefined) {
        // With a constant: it makes a difference between the other's channels.
        for (const id of [a, b]) if (id !== undefined) told[id] = 1
        continue
      }
      families.unite(a, b)
      bind(a, b)
      bind(b, a)
    }
    for (const [first, ...others] of bundlesOf(graph, view)) {
      const start = first && idOf(first.value, first.axis)
      if (start === undefined) continue
      told[start] = 1
      for (const { value, axis } of others) {
        const other = idOf(value, axis)
        if (other === undefined) continue
        families.unite(start, other)
        bind(start, other)
        bind(other, start)
      }
    }
    if (c !== undefined) {
      mark(told, node.inputs[c.port] ?? '', c.axis)
      mark(told, node.outputs[0] ?? '', c.outputAxis)
    }
    if (op.ignores !== undefined) {
      node.inputs.forEach((value, port) => {
        for (const axis of ownAxesOf(graph, value).keys()) if (op.ignores?.(ctx, port, axis)) mark(partial, value, axis)
      })
    }
    /** The first axis that is made of an axis of a constant: others that are go with it. */
    const made = new Map<string, number>()
    for (const pair of pairsOf(links)) {
      for (const link of pair) {
        const output = idOf(node.outputs[link.output] ?? '', link.outputAxis)
        if (output === undefined) continue
        const input = idOf(node.inputs[link.input] ?? '', link.inputAxis)
        if (input === undefined) {
          told[output] = 1
          const source = `${link.input} ${link.inputAxis}`
          const first = made.get(source)
          made.set(source, first ?? output)
          if (first === undefined) continue
          families.unite(first, output)
          if (link.from !== undefined || link.into !== undefined) continue
          bind(first, output)
          bind(output, first)
          continue
        }
        families.unite(input, output)
        const whole = reachOf(link, sizes[input] ?? 0, sizes[output] ?? 0)
        if (!whole.input || !whole.output) partial[output] = 1
        const alone = !pair.some(
          (l) => l !== link && (l.inputAxis === link.inputAxis || l.outputAxis === link.outputAxis),
        )
        if (link.selects !== undefined) continue
        if (alone && whole.output) bind(input, output)
        if (alone && whole.input) bind(output, input)
      }
    }
  }
  const users = usersOf(graph)
  const outputs = new Set(graph.outputs.map(({ name }) => name))
  for (const value of starts.keys()) {
    if (users.has(value) || outputs.has(value)) continue
    for (const axis of axesOf(graph, value).keys()) mark(partial, value, axis)
  }

  const reasons = new Array<Reason | undefined>(sizes.length)
  const queue: number[] = []
  const fix = (id: number | undefined, reason: Reason): void => {
    if (id === undefined || reasons[id] !== undefined) return
    reasons[id] = reason
    queue.push(id)
  }
  pinAxes(graph, (value, axis, reason) => {
    fix(idOf(value, axis), reason)
  })
  const next = neighbours(edges, sizes.length)
  for (const id of queue) {
    const reason = reasons[id]
    if (reason !== undefined) for (const other of next(id)) fix(other, reason)
  }

  const tracked = new Uint8Array(sizes.length)
  const loose = new Uint8Array(sizes.length)
  const totals = new Float64Array(sizes.length)
  for (let id = 0; id < sizes.length; id++) {
    const family = families.find(id)
    if (told[id] === 1) told[family] = 1
    if (partial[id] === 1) partial[family] = 1
    const size = sizes[id]
    if (size === undefined) continue
    totals[family] = (totals[family] ?? 0) + size
    if (reasons[id] === undefined) loose[family] = 1
  }
  let channels = 0
  for (let id = 0; id < sizes.length; id++) if (told[id] === 1 && families.find(id) === id) channels += totals[id] ?? 0
  let left = channelsFor(graph) - channels
  // A family is met first at the least of its members.
  for (let id = 0; id < sizes.length; id++) {
    const family = families.find(id)
    if (family === id && told[id] !== 1 && partial[id] === 1 && loose[id] === 1 && (totals[id] ?? 0) <= left) {
      left -= totals[id] ?? 0
      told[id] = 1
    }
    if (sizes[id] !== undefined && told[family] === 1) tracked[id] = 1
  }
  return {
    count: sizes.length,
    idOf,
    tracked: (value, axis) => tracked[idOf(value, axis) ?? -1] === 1,
    familyOf: families.find,
    reason: (value, axis) => reasons[idOf(value, axis) ?? -1],
    channels,
  }
})

/** Whether a link reaches every index of its input axis, and of its output axis. */
const reachOf = (
  { from, into }: AxisLink,
  inputSize: number,
  outputSize: number,
): { readonly input: boolean; readonly output: boolean } => {
  const isTotal = (map: IndexMap, size: number): boolean => map.first === 0 && map.end === size
  if (from !== undefined && into !== undefined)
    return { input: isTotal(into, inputSize), output: isTotal(from, outputSize) }
  if (from !== undefined) return { input: from.onto, output: isTotal(from, outputSize) }
  return into === undefined ? { input: true, output: true } : { input: isTotal(into, inputSize), output: into.onto }
}

export interface DisjointSets {
  /** The least member of the set that holds `id`. */
  readonly find: (id: number) => number
  readonly unite: (a: number, b: number) => void
}

export const disjointSets = (count: number): DisjointSets => {
  const parents = new Int32Array(count).map((_, i) => i)
  const find = (id: number): number => {
    let root = id
    while (parents[root] !== root) root = parents[root] ?? root
    let at = id
    while (parents[at] !== root) {
      const next = parents[at] ?? root
      parents[at] = root
      at = next
    }
    return root
  }
  return {
    find,
    unite: (a, b) => {
      const [x, y] = [find(a), find(b)]
      if (x !== y) parents[Math.max(x, y)] = Math.min(x, y)
    },
  }
}

interface Edges {
  readonly from: number[]
  readonly to: number[]
}

/** The targets of each source. */
const neighbours = ({ from, to }: Edges, count: number): ((source: number) => Int32Array) => {
  const starts = new Int32Array(count + 1)
  for (const source of from) starts[source + 1] = (starts[source + 1] ?? 0) + 1
  for (let i = 0; i < count; i++) starts[i + 1] = (starts[i + 1] ?? 0) + (starts[i] ?? 0)
  const targets = new Int32Array(to.length)
  const at = starts.slice()
  from.forEach((source, i) => {
    targets[at[source] ?? 0] = to[i] ?? 0
    at[source] = (at[source] ?? 0) + 1
  })
  return (source) => targets.subarray(starts[source], starts[source + 1])
}
