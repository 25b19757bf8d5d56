/**
 * Which channels go together: the finest partition of all channels such that dropping a whole class leaves every operator
 * well-formed. Classes are found by union-find over (value, axis, index) along the operators' links. An axis that some
 * operator mixes, or that a graph input or output fixes, is pinned with the reason.
 */
import { labelOf, type Graph, readsOf } from '../../ir/graph.ts'
import type { AxisLink, ValueId } from '../../ir/op.ts'
import { axesOf, type Channel, type NodeView, viewsOf } from './analyse.ts'

/** Why a channel has to stay, in words, with the value or node at fault. */
export interface Reason {
  readonly kind: 'output' | 'input' | 'opaque' | 'mixed' | 'live' | 'carrier' | 'numbers' | 'width' | 'groups' | 'empty'
  readonly at: string
  readonly text: string
  /** Of a class that is `live` the channel that is needed; `needed-by.ts` says by what. */
  readonly channel?: Channel
}

export interface Classes {
  /** Class of each channel, by {@link idOf}. */
  readonly classOf: Int32Array
  /** Number of classes. */
  readonly count: number
  /** Position of channel 0 of an axis; undefined for constants and axes of unknown size. */
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  readonly channelOf: (id: number) => Channel
  /** Why all channels of an axis stay, if they do. */
  readonly pinned: (value: ValueId, axis: number) => Reason | undefined
}

/** Axes are chosen by how many of their channels could go: `removable` counts them. */
export const relate = (graph: Graph, removable: (value: ValueId, axis: number) => number): Classes => {
  const axes = layOut(graph)
  const parents = Int32Array.from({ length: axes.total }, (_, i) => i)
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
  const unite = (a: number, b: number): void => {
    const [x, y] = [find(a), find(b)]
    if (x !== y) parents[Math.max(x, y)] = Math.min(x, y)
  }
  const pins = new Map<string, Reason>()
  const pin = (value: ValueId, axis: number, reason: Reason): void => {
    const key = `${axis} ${value}`
    if (!pins.has(key)) pins.set(key, reason)
  }
  const pinAll = (value: ValueId, reason: Reason): void =>
    axesOf(graph, value).forEach((_, axis) => pin(value, axis, reason))

  for (const { name } of graph.outputs) pinAll(name, { kind: 'output', at: name, text: `is the graph output ${name}` })
  for (const { name } of graph.inputs) pinAll(name, { kind: 'input', at: name, text: `is the graph input ${name}` })
  for (const name of graph.preserved.uses) {
    pinAll(name, { kind: 'opaque', at: name, text: `is named by a part of the model that is kept as it is` })
  }
  for (const view of viewsOf(graph)) {
    const { node, links } = view
    const label = labelOf(node)
    if (links === 'opaque') {
      for (const value of [...readsOf(node), ...node.outputs])
        pinAll(value, { kind: 'opaque', at: label, text: `meets ${label}, which is not looked into` })
      continue
    }
    const chosen = chooseLinks(view, links, removable)
    const mixed: Reason = { kind: 'mixed', at: label, text: `meets ${label}, which mixes this axis` }
    node.inputs.forEach((value, port) => {
      axesOf(graph, value).forEach((_, axis) => {
        const summed = view.contraction?.port === port && view.contraction.axis === axis
        const free = summed || view.op.ignores?.(view.ctx, port, axis) === true
        if (!free && !chosen.some((l) => l.input === port && l.inputAxis === axis)) pin(value, axis, mixed)
      })
    })
    node.outputs.forEach((value, output) => {
      axesOf(graph, value).forEach((_, axis) => {
        const made = view.contraction !== undefined && output === 0 && view.contraction.outputAxis === axis
        if (!made && !chosen.some((l) => l.output === output && l.outputAxis === axis)) pin(value, axis, mixed)
      })
    })
    for (const link of chosen) uniteLink(link, axes.idOf, view, unite)
  }

  const classOf = new Int32Array(axes.total)
  let count = 0
  for (let id = 0; id < axes.total; id++) {
    const root = find(id)
    classOf[id] = root === id ? count++ : (classOf[root] ?? 0)
  }
  return {
    classOf,
    count,
    idOf: axes.idOf,
    channelOf: axes.channelOf,
    pinned: (value, axis) => pins.get(`${axis} ${value}`),
  }
}

interface Layout {
  readonly total: number
  readonly idOf: (value: ValueId, axis: number) => number | undefined
  readonly channelOf: (id: number) => Channel
}

/** Gives every channel of every computed value and graph input a number. */
const layOut = (graph: Graph): Layout => {
  const bases = new Map<ValueId, ReadonlyArray<number | undefined>>()
  const starts: Array<{ readonly start: number; readonly value: ValueId; readonly axis: number }> = []
  let total = 0
  for (const value of graph.types.keys()) {
    if (graph.constants.has(value)) continue
    bases.set(
      value,
      axesOf(graph, value).map((size, axis) => {
        if (size === undefined) return undefined
        const start = total
        starts.push({ start, value, axis })
        total += size
        return start
      }),
    )
  }
  return {
    total,
    idOf: (value, axis) => bases.get(value)?.[axis],
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
  { node }: NodeView,
  links: ReadonlyArray<AxisLink>,
  removable: (value: ValueId, axis: number) => number,
): ReadonlyArray<AxisLink> => {
  const best = (group: ReadonlyArray<AxisLink>, score: (link: AxisLink) => number): AxisLink | undefined =>
    group.reduce<AxisLink | undefined>((a, b) => (a === undefined || score(b) > score(a) ? b : a), undefined)
  return links.filter((link) => {
    const merged = links.filter(
      (l) => l.input === link.input && l.output === link.output && l.outputAxis === link.outputAxis,
    )
    const split = links.filter(
      (l) => l.input === link.input && l.output === link.output && l.inputAxis === link.inputAxis,
    )
    return (
      best(merged, (l) => removable(node.inputs[l.input] ?? '', l.inputAxis)) === link &&
      best(split, (l) => removable(node.outputs[l.output] ?? '', l.outputAxis)) === link
    )
  })
}

const uniteLink = (
  link: AxisLink,
  idOf: (value: ValueId, axis: number) => number | undefined,
  { node, ctx }: NodeView,
  unite: (a: number, b: number) => void,
): void => {
  const from = idOf(node.inputs[link.input] ?? '', link.inputAxis)
  const to = idOf(node.outputs[link.output] ?? '', link.outputAxis)
  if (from === undefined || to === undefined) return
  if (link.from !== undefined) {
    link.from.forEach((i, o) => {
      if (i >= 0) unite(from + i, to + o)
    })
  } else if (link.into !== undefined) {
    link.into.forEach((o, i) => {
      if (o >= 0) unite(from + i, to + o)
    })
  } else {
    const type = ctx.outputs[link.output]
    const size = type?.kind === 'tensor' ? type.shape?.[link.outputAxis] : undefined
    for (let i = 0; i < Number(size ?? 0); i++) unite(from + i, to + i)
  }
}
