/**
 * Which channels of a value are equal, whatever the inputs of the model are: value numbering (Alpern, Wegman and Zadeck 1988)
 * at the granularity of channels, forwards. Two output channels of a contraction are equal where their weights and biases are;
 * of every other operator, where what the links tie them to is equal on each port.
 */
import { memoized } from '../ir/analysis.ts'
import type { Graph } from '../ir/graph.ts'
import { pairsOf, placeOf } from '../ir/links.ts'
import type { AxisLink, ValueId } from '../ir/op.ts'
import { sliceClasses } from '../ir/slices.ts'
import { trackingOf } from './channel-elimination/tracking.ts'
import { axesOf, type NodeView, viewsOf } from './channel-elimination/views.ts'

/** Along an axis for each channel the first one that is equal to it; undefined where all differ, or may differ. */
export type EqualChannels = (value: ValueId, axis: number) => Int32Array | undefined

/** The analysis along some axes, where some channels of the inputs of the model are known to be equal. */
export const equalChannelsAlong = (
  graph: Graph,
  isTold: (value: ValueId, axis: number) => boolean,
  given: EqualChannels = () => undefined,
): EqualChannels => {
  const found = new Map<ValueId, Array<Int32Array | undefined>>()
  const equal: EqualChannels = (value, axis) => {
    const tensor = graph.constants.get(value)
    if (tensor !== undefined) return sliceClasses(tensor, axis)
    return found.get(value)?.[axis] ?? given(value, axis)
  }
  for (const view of viewsOf(graph)) {
    if (view.links === 'opaque') continue
    for (const [output, value] of view.node.outputs.entries()) {
      axesOf(graph, value).forEach((size, axis) => {
        if (size === undefined || size < 2 || !isTold(value, axis)) return
        const classes = classesOf(view, output, axis, size, equal)
        if (classes === undefined) return
        const axes = found.get(value) ?? []
        axes[axis] = classes
        found.set(value, axes)
      })
    }
  }
  return equal
}

/** The analysis of a graph. */
export const equalChannels = memoized((graph): EqualChannels => equalChannelsAlong(graph, trackingOf(graph).tracked))

const classesOf = (
  view: NodeView,
  output: number,
  axis: number,
  size: number,
  equal: EqualChannels,
): Int32Array | undefined => {
  const { contraction, reads, links } = view
  if (contraction !== undefined && reads !== undefined && output === 0 && axis === contraction.outputAxis) {
    return classesOfSums(view, equal)
  }
  if (links === 'opaque') return undefined
  const ofAxis = links.filter((link) => link.output === output && link.outputAxis === axis)
  const isEqual = ofAxis.some((link) => equal(view.node.inputs[link.input] ?? '', link.inputAxis) !== undefined)
  if (!isEqual || ofAxis.some(({ from, into }) => from !== undefined && into !== undefined)) return undefined
  const keys = new Array<string>(size).fill('')
  for (const links of pairsOf(ofAxis)) {
    addKeys(keys, links, (port, linkAxis) => equal(view.node.inputs[port] ?? '', linkAxis))
  }
  return firstsOf(size, (index) => keys[index] ?? '')
}

/**
 * Adds to the key of each output index what the links from one port say that it is made from. Of several indices that are made
 * from the same ones, as the places of a channel in a flattened axis are, each is another part of it.
 */
const addKeys = (
  keys: string[],
  links: ReadonlyArray<AxisLink>,
  equal: (port: number, axis: number) => Int32Array | undefined,
): void => {
  const sources = links.map((link) => ({
    at: sourcesOf(link, keys.length),
    classes: equal(link.input, link.inputAxis),
  }))
  const met = new Map<string, number>()
  // Each of thousands of ports makes a few indices only.
  const first = Math.min(...links.map(({ from }) => from?.first ?? 0))
  const end = Math.max(...links.map(({ from }) => from?.end ?? keys.length))
  for (let o = first; o < end; o++) {
    const own = sources.map(({ at }) => at(o).join('.')).join(',')
    if (sources.every(({ at }) => at(o).length === 0)) continue
    const part = met.get(own) ?? 0
    met.set(own, part + 1)
    const alike = sources.map(({ at, classes }) =>
      at(o)
        .map((i) => classes?.[i] ?? i)
        .join('.'),
    )
    keys[o] = `${keys[o] ?? ''} ${links[0]?.input}:${alike.join(',')}:${part}`
  }
}

/** The input indices that belong to an output index. */
const sourcesOf = ({ from, into }: AxisLink, size: number): ((o: number) => ReadonlyArray<number>) => {
  if (from !== undefined) return (o) => (placeOf(from, o) < 0 ? [] : [placeOf(from, o)])
  if (into === undefined) return (o) => [o]
  const parts = Array.from({ length: size }, (): number[] => [])
  for (let i = into.first; i < into.end; i++) parts[into.at(i)]?.push(i)
  return (o) => parts[o] ?? []
}

/** Output channels of a contraction: of equal weights and biases, in groups that read equal channels. */
const classesOfSums = ({ node, contraction: c, reads: r }: NodeView, equal: EqualChannels): Int32Array | undefined => {
  if (c === undefined || r === undefined || (c.groups > 1 && c.grouped === 'output')) return undefined
  const rows = sliceClasses(r.weight, c.weightOutputAxis)
  if (rows === undefined) return undefined
  const inputs = c.groups === 1 ? undefined : equal(node.inputs[c.port] ?? '', c.axis)
  const groups = Array.from({ length: c.groups === 1 ? 0 : c.groups }, (_, g) =>
    Array.from({ length: r.inputsPerGroup }, (_, k) => {
      const i = g * r.inputsPerGroup + k
      return inputs?.[i] ?? i
    }).join('.'),
  )
  return firstsOf(r.outputs, (o) => {
    const bias = c.bias(o)
    const group = groups[Math.floor(o / r.outputsPerGroup)] ?? ''
    return bias === undefined || Number.isNaN(bias) ? `only ${o}` : `${rows[o]} ${bias} ${group}`
  })
}

/** For each index the first one with the same key; undefined where no two are the same. */
const firstsOf = (size: number, key: (index: number) => string): Int32Array | undefined => {
  const known = new Map<string, number>()
  const firsts = new Int32Array(size)
  for (let i = 0; i < size; i++) {
    const own = key(i)
    const first = known.get(own) ?? i
    known.set(own, first)
    firsts[i] = first
  }
  return known.size === size ? undefined : firsts
}
