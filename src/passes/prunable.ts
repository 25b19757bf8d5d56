/** The channels of a model that masks can take out, and the layers that make and read them: what pruning chooses from. */
import { type Graph, labelOf } from '../ir/graph.ts'
import type { ValueId } from '../ir/op.ts'
import type { Tensor } from '../ir/tensor.ts'
import { type Layer, layersOf, resolveWeights } from '../masks/weights.ts'
import { bundlesOf } from './channel-elimination/mixing.ts'
import { type Classes, relate, tied } from './channel-elimination/relate.ts'
import { axesOf, viewsOf } from './channel-elimination/views.ts'

/** `block`: channels that a single layer makes. `all`: also those that several make together. */
export type Scope = 'block' | 'all'

/** Channel `channel` on one side of the layer at position `layer`. */
interface Port {
  readonly layer: number
  readonly channel: number
}

/** A class of channels that go together, by the layers it touches. */
export interface ChannelClass {
  /** Outputs of layers that sum over other channels. */
  readonly producers: Port[]
  /** Outputs of layers that pass each channel on by itself (depthwise convolution). */
  readonly through: Port[]
  readonly readers: Port[]
  /** Why it has to stay, if it has to. */
  pinned: string | undefined
}

/** The layers of a graph, their weights resolved, and the classes that their channels fall into. */
export interface Network {
  readonly layers: ReadonlyArray<Layer>
  readonly classes: ReadonlyMap<number, ChannelClass>
}

/**
 * The layers of `graph`, which is `model` cleaned up: its shapes are known, but weights may have other names by now, or have
 * been computed from those of the model. Tensors that are still stored as they were stand for the constants of the model.
 */
export const relateLayers = (graph: Graph, model: Graph): Network => {
  const resolved = resolveWeights(graph).graph
  const names = new Map<Tensor, ValueId>()
  for (const [name, tensor] of model.constants) {
    // Integers are called after what a node makes of them.
    if (tensor.tag === 'Held') names.set(tensor.stored, name)
    else if (!names.has(tensor)) names.set(tensor, name)
  }
  const stored = layersOf(graph).map(({ weight }): Tensor | undefined => {
    const tensor = resolved.constants.get(weight)
    return tensor?.tag === 'Held' ? tensor.stored : tensor
  })
  const readers = new Map<Tensor | undefined, number>()
  for (const tensor of stored) readers.set(tensor, (readers.get(tensor) ?? 0) + 1)
  const nameAt = (at: number): ValueId | undefined => {
    const tensor = stored[at]
    return tensor && names.get(tensor)
  }
  const unmaskable = ({ weight }: Layer, at: number): string | undefined => {
    if (nameAt(at) === undefined) return `its weight ${weight} is computed from other constants`
    const count = readers.get(stored[at])
    return count === 1 ? undefined : `its weight ${weight} is read by ${count} nodes`
  }
  const reasons = layersOf(graph).map(unmaskable)
  const layers = layersOf(graph).map((layer, at) => ({ ...layer, weight: nameAt(at) ?? layer.weight }))
  const relation = tied(resolved, relate(resolved))
  const pins = pinsOf(resolved, relation)
  const classes = new Map<number, ChannelClass>()
  const classAt = (value: ValueId, axis: number, index: number): ChannelClass | undefined => {
    const start = relation.idOf(value, axis)
    const id = start === undefined ? undefined : relation.classOf[start + index]
    if (id === undefined) return undefined
    const known = classes.get(id) ?? { producers: [], through: [], readers: [], pinned: pins.get(id) }
    classes.set(id, known)
    return known
  }
  const linksOf = new Map(viewsOf(resolved).map((view) => [view.node, view.links]))
  layers.forEach(({ node, contraction: c, outputs, inputs }, layer) => {
    const links = linksOf.get(node) ?? 'opaque'
    const passes =
      links !== 'opaque' &&
      links.some((l) => l.input === c.port && l.inputAxis === c.axis && l.outputAxis === c.outputAxis)
    const enter = (value: ValueId, axis: number, count: number, side: 'producers' | 'through' | 'readers'): void => {
      for (let channel = 0; channel < count; channel++) {
        const found = classAt(value, axis, channel)
        if (found === undefined) continue
        found[side].push({ layer, channel })
        found.pinned ??= reasons[layer]
      }
    }
    enter(node.outputs[0] ?? '', c.outputAxis, outputs, passes ? 'through' : 'producers')
    if (!passes) enter(node.inputs[c.port] ?? '', c.axis, inputs, 'readers')
  })
  for (const view of viewsOf(resolved)) {
    const reason = `${labelOf(view.node)} mixes its channels`
    for (const { value, axis } of bundlesOf(resolved, view).flat()) {
      for (let i = 0; i < (axesOf(resolved, value)[axis] ?? 0); i++) {
        const found = classAt(value, axis, i)
        if (found !== undefined) found.pinned ??= reason
      }
    }
  }
  return { layers, classes }
}

const pinsOf = (graph: Graph, relation: Classes): ReadonlyMap<number, string> => {
  const out = new Map<number, string>()
  for (const value of graph.types.keys()) {
    axesOf(graph, value).forEach((size, axis) => {
      const start = relation.idOf(value, axis)
      const reason = relation.pinned(value, axis)
      if (start === undefined || reason === undefined) return
      for (let i = 0; i < (size ?? 0); i++) {
        const id = relation.classOf[start + i] ?? -1
        if (!out.has(id)) out.set(id, `${value} ${reason.text}`)
      }
    })
  }
  return out
}

export const labelAt = (network: Network, at: number): string => {
  const layer = network.layers[at]
  return layer === undefined ? '' : labelOf(layer.node)
}

/** Prunable classes that are made by the same layers. */
export interface Family {
  readonly producers: ReadonlyArray<number>
  readonly classes: ReadonlyArray<ChannelClass>
}

const producersOfClass = (one: ChannelClass): ReadonlyArray<number> => [...new Set(one.producers.map((p) => p.layer))]

/** Why a class cannot be pruned in this scope. */
export const refusal = (network: Network, one: ChannelClass, scope: Scope): string | undefined => {
  if (one.pinned !== undefined) return one.pinned
  if (one.readers.length === 0) return 'no other layer reads its channels'
  const producers = producersOfClass(one)
  if (scope === 'block' && producers.length > 1) {
    return `its channels are joined with those of other layers (${producers.map((at) => labelAt(network, at)).join(', ')})`
  }
  return undefined
}

export const groupClasses = (network: Network, scope: Scope): ReadonlyArray<Family> => {
  const families = new Map<string, { readonly producers: ReadonlyArray<number>; readonly classes: ChannelClass[] }>()
  for (const one of network.classes.values()) {
    if (one.producers.length === 0 || refusal(network, one, scope) !== undefined) continue
    const producers = producersOfClass(one)
    const key = producers.join(' ')
    const known = families.get(key)
    if (known) known.classes.push(one)
    else families.set(key, { producers, classes: [one] })
  }
  return [...families.values()]
}
