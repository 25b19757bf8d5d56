/**
 * Which channels go together: the finest partition of all channels such that dropping a whole class, with those that it
 * covers, leaves every operator well-formed. Classes are found by union-find over (value, axis, index) along the operators'
 * links; where a link merges or splits axes, classes of the one side cover those of the other (`covers.ts`). An axis that
 * some operator mixes, or that a graph input or output fixes, is pinned with the reason.
 */
import { type Graph, labelOf } from '../../ir/graph.ts'
import { pairsOf, periodic, shapeOf } from '../../ir/links.ts'
import type { AxisLink, IndexMap, ValueId } from '../../ir/op.ts'
import type { ChannelFacts } from './analyse.ts'
import { type Covering, type Covers, coversOf } from './covers.ts'
import { bundlesOf } from './mixing.ts'
import { disjointSets, pinAxes, type Reason, type Tracking, trackingOf } from './tracking.ts'
import { axesOf, type Channel, jointOf, type NodeView, ownAxesOf, viewsOf } from './views.ts'

export type { Reason } from './tracking.ts'

export interface Classes {
  /** Class of each channel, by {@link idOf}. */
  readonly classOf: Int32Array
  /** Number of classes. */
  readonly count: number
  /** Position of channel 0 of an axis; undefined where channels are not told apart, for constants among others. */
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  /** The channel of an id; of no value where an id stands for what two sides of a link are parts of. */
  readonly channelOf: (id: number) => Channel
  readonly covers: Covers
  /** Why all channels of an axis stay, if they do. */
  readonly pinned: (value: ValueId, axis: number) => Reason | undefined
}

/**
 * With `facts`, channels are told apart along tracked axes that are connected with an idle one; without them along all
 * tracked axes.
 */
export const relate = (graph: Graph, facts?: ChannelFacts): Classes => {
  const tracking = trackingOf(graph)
  const layout = layOut(graph, tracking, facts?.idle)
  const pins = new Array<Reason | undefined>(tracking.count)
  pinAxes(graph, (value, axis, reason) => {
    const id = tracking.idOf(value, axis)
    if (id !== undefined) pins[id] ??= reason
  })
  const handles = handlesOf(graph, layout)
  const total = layout.total + handles.count
  const classes = disjointSets(total)
  for (const { node, pairs } of viewsOf(graph)) {
    for (const { ports, axes, period = Infinity } of pairs) {
      const sides = [0, 1].flatMap((side) => {
        const value = node.inputs[ports[side] ?? 0] ?? ''
        const start = layout.idOf(value, axes[side] ?? 0)
        return start === undefined ? [] : [{ start, size: axesOf(graph, value)[axes[side] ?? 0] ?? 0 }]
      })
      const [first] = sides
      for (const { start, size } of sides) {
        for (let i = 0; i < size; i++) classes.unite((first?.start ?? 0) + (i % period), start + i)
      }
    }
  }
  for (const view of viewsOf(graph)) {
    for (const [first, ...others] of bundlesOf(graph, view)) {
      const start = first && layout.idOf(first.value, first.axis)
      for (const { value, axis } of others) {
        const other = layout.idOf(value, axis)
        if (start === undefined || other === undefined) continue
        for (let i = 0; i < (axesOf(graph, value)[axis] ?? 0); i++) classes.unite(start + i, other + i)
      }
    }
  }
  for (const view of viewsOf(graph)) uniteMadeOfOne(graph, view, layout.idOf, classes.unite)
  const coverings = viewsOf(graph).flatMap((view) =>
    view.links === 'opaque'
      ? []
      : pairsOf(view.links).flatMap((pair) =>
          relatePair(graph, view, facts === undefined ? pair.map(whole) : pair, layout.idOf, handles.of, classes.unite),
        ),
  )
  for (const value of graph.types.keys()) coverings.push(...coverJoint(graph, value, layout.idOf))
  // Channels that are normalised go only where constants are known of them.
  for (const { node, statistics } of facts === undefined ? viewsOf(graph) : []) {
    const text = `meets ${labelOf(node)}, which mixes this axis`
    for (const { port, axis } of statistics) {
      const id = tracking.idOf(node.inputs[port] ?? '', axis)
      if (id !== undefined) pins[id] ??= { kind: 'mixed', at: labelOf(node), text }
    }
  }

  const classOf = new Int32Array(total)
  let count = 0
  for (let id = 0; id < total; id++) {
    const root = classes.find(id)
    classOf[id] = root === id ? count++ : (classOf[root] ?? 0)
  }
  return {
    classOf,
    count,
    covers: coversOf(coverings, classOf, count),
    idOf: layout.idOf,
    channelOf: layout.channelOf,
    pinned: (value, axis) =>
      tracking.tracked(value, axis) ? pins[tracking.idOf(value, axis) ?? -1] : tracking.reason(value, axis),
  }
}

/**
 * Classes in which a fine channel always goes with the first that covers it, and others that cover it stay: of an axis split into
 * heads and places, whole heads go. Their numbers have gaps.
 */
export const tied = (graph: Graph, classes: Classes): Classes => {
  const { classOf, count, covers, idOf } = classes
  const sets = disjointSets(count)
  const held = new Set<number>()
  for (let cell = 0; cell < covers.cells; cell++) {
    const [way, ...others] = covers.waysOf(cell)
    if (way !== undefined && covers.isBound(cell)) sets.unite(covers.fineOf(cell), way)
    for (const other of others) held.add(other)
  }
  const isHeld = (value: ValueId, axis: number): boolean => {
    const start = idOf(value, axis)
    const size = axesOf(graph, value)[axis] ?? 0
    return (
      start !== undefined && Array.from({ length: size }, (_, i) => classOf[start + i] ?? -1).some((at) => held.has(at))
    )
  }
  const reason = (at: string): Reason => ({ kind: 'mixed', at, text: 'is merged with another axis' })
  return {
    ...classes,
    classOf: classOf.map(sets.find),
    pinned: (value, axis) => classes.pinned(value, axis) ?? (isHeld(value, axis) ? reason(value) : undefined),
  }
}

/** A link of which both ends go together. */
const whole = (link: AxisLink): AxisLink => (link.selects === undefined ? link : withoutSelects(link))

const withoutSelects = ({ selects: _, ...link }: AxisLink): AxisLink => link

interface Layout {
  readonly total: number
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  readonly channelOf: (id: number) => Channel
}

/** Gives every channel a number that is told apart. */
const layOut = (
  graph: Graph,
  tracking: Tracking,
  idle: ((value: ValueId, axis: number) => boolean) | undefined,
): Layout => {
  const busy = new Uint8Array(tracking.count).fill(idle === undefined ? 1 : 0)
  const visit = (use: (value: ValueId, axis: number, id: number, size: number) => void): void => {
    for (const value of graph.types.keys()) {
      axesOf(graph, value).forEach((size, axis) => {
        const id = tracking.idOf(value, axis)
        if (id !== undefined && size !== undefined && tracking.tracked(value, axis)) use(value, axis, id, size)
      })
    }
  }
  if (idle !== undefined) {
    visit((value, axis, id) => {
      const family = tracking.familyOf(id)
      if (busy[family] === 0 && idle(value, axis)) busy[family] = 1
    })
  }
  const bases = new Map<number, number>()
  const starts: Array<{ readonly start: number; readonly value: ValueId; readonly axis: number }> = []
  let total = 0
  visit((value, axis, id, size) => {
    if (busy[tracking.familyOf(id)] === 0) return
    bases.set(id, total)
    starts.push({ start: total, value, axis })
    total += size
  })
  return {
    total,
    idOf: (value, axis) => bases.get(tracking.idOf(value, axis) ?? -1),
    channelOf: (id) => {
      if (id >= total) return { value: '', axis: 0, index: 0 }
      let low = 0
      let high = starts.length - 1
      while (low < high) {
        const middle = (low + high + 1) >> 1
        if ((starts[middle]?.start ?? 0) <= id) low = middle
        else high = middle - 1
      }
      const found = starts[low]
      return { value: found?.value ?? '', axis: found?.axis ?? 0, index: id - (found?.start ?? 0) }
    },
  }
}

/** Numbers behind those of the channels for what both sides of a link are parts of (`from` and `into`), the same for both. */
const handlesOf = (graph: Graph, { total, idOf }: Layout) => {
  const starts = new Map<AxisLink, number>()
  let count = 0
  for (const { node, links } of viewsOf(graph)) {
    for (const link of links === 'opaque' ? [] : links) {
      const { from, into } = link
      if (from === undefined || into === undefined) continue
      if (idOf(node.inputs[link.input] ?? '', link.inputAxis) === undefined) continue
      const start = count
      starts.set(link, total + start)
      for (const map of [from, into]) {
        for (let i = map.first; i < map.end; i++) count = Math.max(count, start + map.at(i) + 1)
      }
    }
  }
  return { count, of: (link: AxisLink) => starts.get(link) }
}

/** Unites what several outputs of a node have from one index of a constant, which has no channels of its own that tie them. */
const uniteMadeOfOne = (
  graph: Graph,
  { node, ctx, links }: NodeView,
  idOf: (value: ValueId, axis: number) => number | undefined,
  unite: (a: number, b: number) => void,
): void => {
  if (links === 'opaque' || node.outputs.length < 2) return
  const made = new Map<string, number>()
  for (const { input, inputAxis, output, outputAxis, from, into } of links) {
    const [value, target] = [node.inputs[input] ?? '', node.outputs[output] ?? '']
    const id = idOf(target, outputAxis)
    const isJoint = outputAxis >= (shapeOf(ctx.outputs[output])?.length ?? 0)
    if (!graph.constants.has(value) || id === undefined || into !== undefined || isJoint) continue
    for (let o = from?.first ?? 0; o < (from?.end ?? axesOf(graph, target)[outputAxis] ?? 0); o++) {
      const source = `${input} ${inputAxis} ${from?.at(o) ?? o}`
      const first = made.get(source) ?? id + o
      made.set(source, first)
      unite(first, id + o)
    }
  }
}

/**
 * Unites what the links between an input and an output tie one to one; what they merge or split is returned. Of several axes
 * that one is merged from or split into, any may carry a removal.
 */
const relatePair = (
  graph: Graph,
  { node, ctx }: NodeView,
  pair: ReadonlyArray<AxisLink>,
  idOf: (value: ValueId, axis: number) => number | undefined,
  handleOf: (link: AxisLink) => number | undefined,
  unite: (a: number, b: number) => void,
): ReadonlyArray<Covering> => {
  /** By side and axis: the first id of the fine axis, and the ways to go. */
  const found = new Map<string, { readonly start: number; readonly size: number; readonly ways: Int32Array[] }>()
  const cover = (side: string, start: number, size: number, map: IndexMap, coarse: number): void => {
    const covering = found.get(side) ?? { start, size, ways: [] }
    found.set(side, covering)
    const way = new Int32Array(size).fill(-1)
    for (let i = map.first; i < map.end; i++) way[i] = coarse + map.at(i)
    covering.ways.push(way)
  }
  /** Axes that are a joint axis on the other side: what is made from one of its parts need not go with all of that. */
  const free = new Set<string>()
  for (const link of pair) {
    const { input, inputAxis, output, outputAxis, from, into, selects } = link
    const isJoint = {
      input: inputAxis >= (shapeOf(ctx.inputs[input])?.length ?? 0),
      output: outputAxis >= (shapeOf(ctx.outputs[output])?.length ?? 0),
    }
    // What is known along a joint axis from one of its parts; that they go together is said below.
    if (from !== undefined && isJoint.output && !isJoint.input) continue
    if (from === undefined && isJoint.input) free.add(`out ${outputAxis}`)
    if (from === undefined && isJoint.output) free.add(`in ${inputAxis}`)
    if (link.isShared === true) free.add(`out ${outputAxis}`)
    const source = idOf(node.inputs[input] ?? '', inputAxis)
    const target = idOf(node.outputs[output] ?? '', outputAxis)
    if (source === undefined || target === undefined) continue
    const sizes = {
      input: axesOf(graph, node.inputs[input] ?? '')[inputAxis] ?? 0,
      output: axesOf(graph, node.outputs[output] ?? '')[outputAxis] ?? 0,
    }
    const handle = handleOf(link)
    // Its ends go by themselves; what that takes, a rule knows.
    if (selects !== undefined) continue
    if (from !== undefined && into !== undefined && handle !== undefined) {
      cover(`in ${inputAxis}`, source, sizes.input, into, handle)
      cover(`out ${outputAxis}`, target, sizes.output, from, handle)
    } else if (from !== undefined && !isOneToOne(from)) {
      cover(`out ${outputAxis}`, target, sizes.output, from, source)
      // A head that repeats another one may go by itself, with its places.
      const joint = isJoint.input ? jointOf(graph, node.outputs[output] ?? '') : undefined
      const outer = joint && idOf(node.outputs[output] ?? '', joint.outer)
      if (joint !== undefined && outer !== undefined) {
        const heads = periodic(sizes.output, joint.outerSize, joint.innerSize)
        cover(`out ${outputAxis}`, target, sizes.output, heads, outer)
      }
    } else if (into !== undefined && !isOneToOne(into)) cover(`in ${inputAxis}`, source, sizes.input, into, target)
    else if (from !== undefined) for (let o = from.first; o < from.end; o++) unite(source + from.at(o), target + o)
    else if (into !== undefined) for (let i = into.first; i < into.end; i++) unite(source + i, target + into.at(i))
    else for (let i = 0; i < sizes.output; i++) unite(source + i, target + i)
  }
  return [...found].map(([side, { start, size, ways }]) => ({
    fine: Int32Array.from({ length: size }, (_, i) => (ways.some((way) => (way[i] ?? -1) >= 0) ? start + i : -1)),
    ways,
    isBound: !free.has(side),
  }))
}

/** A place within a head goes with either. */
const coverJoint = (
  graph: Graph,
  value: ValueId,
  idOf: (value: ValueId, axis: number) => number | undefined,
): ReadonlyArray<Covering> => {
  const joint = jointOf(graph, value)
  if (joint === undefined) return []
  const start = idOf(value, ownAxesOf(graph, value).length)
  const [outer, inner] = [idOf(value, joint.outer), idOf(value, joint.inner)]
  if (start === undefined || outer === undefined || inner === undefined) return []
  const fine = new Int32Array(joint.outerSize * joint.innerSize).map((_, i) => start + i)
  const ways = [
    fine.map((_, i) => outer + Math.floor(i / joint.innerSize)),
    fine.map((_, i) => inner + (i % joint.innerSize)),
  ]
  return [{ fine, ways, isBound: joint.isBound, boundBy: joint.boundBy }]
}

const isOneToOne = (map: IndexMap): boolean => {
  const met = new Set<number>()
  for (let i = map.first; i < map.end; i++) met.add(map.at(i))
  return met.size === map.end - map.first
}
