/**
 * Which channels go together: the finest partition of all channels such that dropping a whole class leaves every operator
 * well-formed. Classes are found by union-find over (value, axis, index) along the operators' links. An axis that some
 * operator mixes, or that a graph input or output fixes, is pinned with the reason.
 */
import type { Graph } from '../../ir/graph.ts'
import type { AxisLink, ValueId } from '../../ir/op.ts'
import type { ChannelFacts } from './analyse.ts'
import { disjointSets, pairsOf, pinAxes, type Reason, type Tracking, trackingOf } from './tracking.ts'
import { axesOf, type Channel, type NodeView, viewsOf } from './views.ts'

export type { Reason } from './tracking.ts'

export interface Classes {
  /** Class of each channel, by {@link idOf}. */
  readonly classOf: Int32Array
  /** Number of classes. */
  readonly count: number
  /** Position of channel 0 of an axis; undefined where channels are not told apart, for constants among others. */
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  readonly channelOf: (id: number) => Channel
  /** Why all channels of an axis stay, if they do. */
  readonly pinned: (value: ValueId, axis: number) => Reason | undefined
}

/**
 * With `facts`, channels are told apart along tracked axes that are connected with an idle one, and axes are chosen by how
 * many of their channels could go; without them along all tracked axes.
 */
export const relate = (graph: Graph, facts?: ChannelFacts): Classes => {
  const tracking = trackingOf(graph)
  const layout = layOut(graph, tracking, facts?.idle)
  const classes = disjointSets(layout.total)
  const chosen = new Map(viewsOf(graph).map((view) => [view, chooseLinks(view, facts?.removable ?? (() => 0))]))
  const pins = new Array<Reason | undefined>(tracking.count)
  pinAxes(
    graph,
    (view) => chosen.get(view) ?? [],
    (value, axis, reason) => {
      const id = tracking.idOf(value, axis)
      if (id !== undefined) pins[id] ??= reason
    },
  )
  for (const [view, links] of chosen) for (const link of links) uniteLink(link, layout.idOf, view, classes.unite)

  const classOf = new Int32Array(layout.total)
  let count = 0
  for (let id = 0; id < layout.total; id++) {
    const root = classes.find(id)
    classOf[id] = root === id ? count++ : (classOf[root] ?? 0)
  }
  return {
    classOf,
    count,
    idOf: layout.idOf,
    channelOf: layout.channelOf,
    pinned: (value, axis) =>
      tracking.tracked(value, axis) ? pins[tracking.idOf(value, axis) ?? -1] : tracking.reason(value, axis),
  }
}

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

/**
 * Where several axes merge into one, or one splits into several (Reshape), a removal can be carried by one of them only:
 * the one with most channels that could go, the first of equals.
 */
const chooseLinks = (
  { node, links }: NodeView,
  removable: (value: ValueId, axis: number) => number,
): ReadonlyArray<AxisLink> => {
  if (links === 'opaque') return []
  const best = (group: ReadonlyArray<AxisLink>, score: (link: AxisLink) => number): AxisLink | undefined =>
    group.length < 2
      ? group[0]
      : group.reduce<AxisLink | undefined>((a, b) => (a === undefined || score(b) > score(a) ? b : a), undefined)
  return pairsOf(links).flatMap((pair) =>
    pair.filter((link) => {
      const merged = pair.filter((l) => l.outputAxis === link.outputAxis)
      const split = pair.filter((l) => l.inputAxis === link.inputAxis)
      return (
        best(merged, (l) => removable(node.inputs[l.input] ?? '', l.inputAxis)) === link &&
        best(split, (l) => removable(node.outputs[l.output] ?? '', l.outputAxis)) === link
      )
    }),
  )
}

const uniteLink = (
  { input, inputAxis, output, outputAxis, from, into }: AxisLink,
  idOf: (value: ValueId, axis: number) => number | undefined,
  { node, ctx }: NodeView,
  unite: (a: number, b: number) => void,
): void => {
  const source = idOf(node.inputs[input] ?? '', inputAxis)
  const target = idOf(node.outputs[output] ?? '', outputAxis)
  if (source === undefined || target === undefined) return
  if (from !== undefined) {
    for (let o = from.first; o < from.end; o++) unite(source + from.at(o), target + o)
  } else if (into !== undefined) {
    for (let i = into.first; i < into.end; i++) unite(source + i, target + into.at(i))
  } else {
    const type = ctx.outputs[output]
    const size = type?.kind === 'tensor' ? type.shape?.[outputAxis] : undefined
    for (let i = 0; i < Number(size ?? 0); i++) unite(source + i, target + i)
  }
}
