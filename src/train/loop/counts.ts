/** Densities and channels of a sparse state, for people. */
import { sizeOf } from '../../ir/type.ts'
import { slotsOf } from '../sparse/network.ts'
import type { State } from '../sparse/index.ts'
import type { LayersLeft, PlanEntry } from './history.ts'

/** Channels that are not removed. */
const channelsLeft = (marks: Uint8Array): number => marks.reduce((n, mark) => n + 1 - mark, 0)

/** Kept weights as a fraction of those that count in the dense network. */
export const densityOf = ({ origin, network, masks }: State): number => {
  let [live, total] = [0, 0]
  for (const layer of origin.layers) if (layer.exempt !== true) total += sizeOf(layer.shape)
  for (const [l, layer] of network.layers.entries()) {
    if (layer.exempt === true) continue
    for (const bit of masks[l] ?? []) live += bit
  }
  return total === 0 ? 1 : live / total
}

/** Channels of all streams: how many are not removed, and how many there were. */
export const channelsOf = ({ origin, removed }: State): { readonly left: number; readonly of: number } => ({
  left: removed.reduce((n, marks) => n + channelsLeft(marks), 0),
  of: origin.streams.reduce((n, stream) => n + stream.channels, 0),
})

/** The weights among the layers of the dense network; vectors, if any, are the last ones. */
const weightsOf = ({ origin }: State): State['origin']['layers'] =>
  origin.layers.filter(({ role }) => role === undefined)

/** The layers of the dense network. */
export const layersOfOrigin = (state: State): PlanEntry['layers'] =>
  weightsOf(state).map(({ name, shape, outputAxis }) => ({
    name,
    weights: sizeOf(shape),
    channels: shape[outputAxis] ?? 0,
  }))

/** What is left of each layer of the dense network. */
export const layersLeft = (state: State): LayersLeft => {
  const { origin, masks, removed } = state
  const channels = new Map(origin.layers.map(({ name, shape, outputAxis }) => [name, shape[outputAxis] ?? 0]))
  const axes = new Map(origin.layers.map(({ name, outputAxis }) => [name, outputAxis]))
  for (const [s, stream] of origin.streams.entries()) {
    const gone = stream.channels - channelsLeft(removed[s] ?? new Uint8Array(0))
    for (const { layer, axis, span = 1 } of slotsOf(stream)) {
      if (axis === axes.get(layer)) channels.set(layer, (channels.get(layer) ?? 0) - gone * span)
    }
  }
  const live = (l: number): number => (masks[l] ?? new Uint8Array(0)).reduce((n, bit) => n + bit, 0)
  return {
    layerDensities: weightsOf(state).map(({ shape }, l) => live(l) / Math.max(1, sizeOf(shape))),
    layerChannels: weightsOf(state).map(({ name }) => channels.get(name) ?? 0),
  }
}
