/** The network that sparse training sees, derived from a graph: which weights carry masks, and which channels go together. */
import { usersOf } from '../../ir/analysis.ts'
import { shapeOf } from '../../ir/links.ts'
import type { Graph } from '../../ir/graph.ts'
import type { ValueId } from '../../ir/op.ts'
import { type Layer as GraphLayer, layersOf, readersOfWeights, resolveWeights } from '../../masks/weights.ts'
import { axesOf, type NodeView, viewsOf } from '../../passes/channel-elimination/views.ts'
import { type Classes, relate, tied } from '../../passes/channel-elimination/relate.ts'
import type { Layer, Network, Slot, Stream } from '../sparse/index.ts'

/** Channel `channel` on one side of a layer, counted over all groups. */
interface Port {
  readonly layer: number
  readonly channel: number
}

/** Channels that go together. `through`: outputs of depthwise layers, which pass each channel on by itself. */
interface ChannelClass {
  readonly made: Port[]
  readonly through: Port[]
  readonly read: Port[]
  readonly scaled: Port[]
}

/** A trained vector with a number for each channel of a node's output. */
interface ChannelVector {
  readonly layer: Layer
  readonly value: ValueId
  readonly axis: number
}

/** The weights of `graph` that carry masks, in graph order: those among `trained` that a single layer reads. */
const maskedLayers = (graph: Graph, trained: ReadonlySet<ValueId>): ReadonlyArray<GraphLayer> =>
  layersOf(graph).filter(
    ({ weight, tensor }) =>
      trained.has(weight) && tensor.shape.length > 1 && readersOfWeights(graph).get(weight)?.length === 1,
  )

const isDepthwise = (layer: GraphLayer): boolean => layer.contraction.groups > 1 && layer.inputsPerGroup === 1

/**
 * The network of `graph`, whose `trained` constants are its parameters. Layers and streams are called after weights.
 *
 * Depthwise weights are exempt: they keep every weight and lose channels only. A stream is there where every layer that
 * makes or reads its channels carries a mask and its channels lie evenly on the axes of these weights. It has scope `block`
 * where one layer makes it, one layer other than the last of the network reads it, and no addition joins it to others, as
 * the layer pairs of the released Chase; else `all`.
 */
export const networkOf = (graph: Graph, trained: ReadonlySet<ValueId>): Network => {
  const layers = maskedLayers(graph, trained)
  const described = layers.map((layer): Layer => ({
    name: layer.weight,
    shape: layer.tensor.shape,
    outputAxis: layer.contraction.weightOutputAxis,
    inputAxis: layer.contraction.weightInputAxis,
    ...(isDepthwise(layer) ? { exempt: true } : {}),
  }))
  const scaling = vectorsOf(graph, trained)
  const all = [...described, ...scaling.map(({ layer }) => layer)]
  const families = new Map<string, ChannelClass[]>()
  for (const one of channelClasses(graph, layers, scaling)) {
    const layersIn = (ports: ReadonlyArray<Port>): string => [...new Set(ports.map((port) => port.layer))].join(' ')
    const key = [one.made, one.through, one.read].map(layersIn).join('|')
    const known = families.get(key)
    if (known === undefined) families.set(key, [one])
    else known.push(one)
  }
  const taken = new Map<string, number>()
  const streams = [...families.values()].flatMap((family): ReadonlyArray<Stream> => {
    const stream = streamOf(family, all)
    if (stream === undefined) return []
    const count = taken.get(stream.name) ?? 0
    taken.set(stream.name, count + 1)
    return [count === 0 ? stream : { ...stream, name: `${stream.name} ${count + 1}` }]
  })
  return { layers: described, streams, vectors: scaling.map(({ layer }) => layer) }
}

/** The vectors among `trained` that one node alone reads, as scales or shifts of the channels of what it makes. */
const vectorsOf = (original: Graph, trained: ReadonlySet<ValueId>): ReadonlyArray<ChannelVector> => {
  const { graph } = resolveWeights(original)
  return viewsOf(graph).flatMap(({ node, op, ctx, links, contraction: c }): ReadonlyArray<ChannelVector> => {
    const [value = ''] = node.outputs
    return node.inputs.flatMap((name, port): ReadonlyArray<ChannelVector> => {
      const shape = graph.constants.get(name)?.shape
      if (!trained.has(name) || shape?.length !== 1 || usersOf(graph).get(name)?.length !== 1) return []
      const bias = c !== undefined && port !== c.port && port !== c.weightPort ? c.outputAxis : undefined
      const link = links === 'opaque' ? undefined : links.find((l) => l.input === port && l.from === undefined)
      const axis = link?.outputAxis ?? bias
      if (axis === undefined || link?.into !== undefined || axesOf(graph, value)[axis] !== shape[0]) return []
      const zeroed = node.inputs.map((other, i) => (i === port ? 0 : graph.constants.has(other) ? 1 : undefined))
      const isScale = typeof op.constant === 'function' && op.constant(ctx, zeroed, 0, axis) !== undefined
      const role = isScale ? 'scale' : 'shift'
      return [{ layer: { name, shape, outputAxis: 0, inputAxis: 1, exempt: true, role }, value, axis }]
    })
  })
}

/** The classes of channels that a mask can remove. */
const channelClasses = (
  original: Graph,
  layers: ReadonlyArray<GraphLayer>,
  vectors: ReadonlyArray<ChannelVector>,
): ReadonlyArray<ChannelClass> => {
  const { graph } = resolveWeights(original)
  const relation = tied(graph, relate(graph))
  const numberOf = new Map(layers.map(({ node }, l) => [node, l]))
  const classes = new Map<number, ChannelClass>()
  const fixed = pinnedClasses(graph, relation)
  const enter = (value: ValueId, axis: number, side: keyof ChannelClass, layer: number | undefined): void => {
    const start = relation.idOf(value, axis)
    if (start === undefined) return
    for (let channel = 0; channel < (axesOf(graph, value)[axis] ?? 0); channel++) {
      const id = relation.classOf[start + channel] ?? -1
      if (layer === undefined) fixed.add(id)
      const known = classes.get(id) ?? { made: [], through: [], read: [], scaled: [] }
      classes.set(id, known)
      if (layer !== undefined) known[side].push({ layer, channel })
    }
  }
  for (const view of viewsOf(graph)) {
    const { node, contraction: c } = view
    if (c === undefined) continue
    const number = numberOf.get(node)
    const layer = number === undefined ? undefined : layers[number]
    // Channels of other grouped layers would have to go in equal numbers from every group.
    const usable = layer !== undefined && (c.groups === 1 || isDepthwise(layer)) ? number : undefined
    const passes = passesThrough(view)
    enter(node.outputs[0] ?? '', c.outputAxis, passes ? 'through' : 'made', usable)
    if (!passes) enter(node.inputs[c.port] ?? '', c.axis, 'read', usable)
  }
  for (const [v, { value, axis }] of vectors.entries()) enter(value, axis, 'scaled', layers.length + v)
  return [...classes]
    .filter(([id, { made, read }]) => !fixed.has(id) && made.length > 0 && read.length > 0)
    .map(([, one]) => one)
}

const passesThrough = ({ links, contraction: c }: NodeView): boolean =>
  c !== undefined &&
  links !== 'opaque' &&
  links.some((l) => l.input === c.port && l.inputAxis === c.axis && l.outputAxis === c.outputAxis)

const pinnedClasses = (graph: Graph, relation: Classes): Set<number> => {
  const out = new Set<number>()
  for (const value of graph.types.keys()) {
    for (const axis of shapeOf(graph.types.get(value))?.keys() ?? []) {
      const start = relation.idOf(value, axis)
      if (start === undefined || relation.pinned(value, axis) === undefined) continue
      for (let i = 0; i < (axesOf(graph, value)[axis] ?? 0); i++) out.add(relation.classOf[start + i] ?? -1)
    }
  }
  return out
}

/** The stream of channels that the same layers make and read; undefined where they do not lie evenly on some weight. */
const streamOf = (family: ReadonlyArray<ChannelClass>, layers: ReadonlyArray<Layer>): Stream | undefined => {
  const first = family[0]
  const name = layers[first?.made[0]?.layer ?? -1]?.name
  if (first === undefined || name === undefined) return undefined
  const place = (one: ChannelClass): number => one.made[0]?.channel ?? 0
  const channels = family.toSorted((a, b) => place(a) - place(b))
  const producers = slots(channels, 'made', layers, 'outputAxis')
  const through = slots(channels, 'through', layers, 'outputAxis')
  const read = slots(channels, 'read', layers, 'inputAxis')
  if (producers === undefined || through === undefined || read === undefined) return undefined
  const vectors = slots(channels, 'scaled', layers, 'outputAxis') ?? []
  const last = layers.findLast(({ role }) => role === undefined)?.name
  const [reader] = read
  const inBlock = producers.length === 1 && read.length === 1 && reader?.layer !== last
  return {
    name,
    channels: channels.length,
    scope: inBlock ? 'block' : 'all',
    producers,
    consumers: [...through, ...read],
    ...(vectors.length > 0 && { vectors }),
  }
}

const slots = (
  channels: ReadonlyArray<ChannelClass>,
  side: keyof ChannelClass,
  layers: ReadonlyArray<Layer>,
  axis: 'outputAxis' | 'inputAxis',
): ReadonlyArray<Slot> | undefined => {
  const numbers = [...new Set(channels[0]?.[side].map((port) => port.layer))]
  const out: Slot[] = []
  for (const number of numbers) {
    const layer = layers[number]
    if (layer === undefined) return undefined
    const places = channels.map((one) => one[side].flatMap((port) => (port.layer === number ? [port.channel] : [])))
    const [offset, span] = [places[0]?.[0] ?? 0, places[0]?.length ?? 0]
    const even = places.every(
      (list, c) => list.length === span && list.every((index, k) => index === offset + c * span + k),
    )
    if (!even || span === 0) return undefined
    out.push({
      layer: layer.name,
      axis: layer[axis],
      ...(offset === 0 ? {} : { offset }),
      ...(span === 1 ? {} : { span }),
    })
  }
  return out
}
