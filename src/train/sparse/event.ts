/** What an update did, as data: what a training loop has to carry over to weights, momenta and the network itself. */
import { hasRestarted, isKept } from './codes.ts'
import { indicesOf, type Slot } from './network.ts'
import { capacitiesOf, liveOf, type Removal, type Work, type WorkLayer } from './workspace.ts'

/**
 * Positions are row-major in the layer's present shape, ascending. What is said about values is for policies whose masked
 * weights are zeroed; others leave weights and momenta as they are, but for those of removed channels.
 */
export interface LayerEvent {
  readonly layer: string
  /** Kept before and masked now, those of removed channels included: weight and momentum become 0. */
  readonly pruned: Uint32Array
  /** Masked before and kept now: weight and momentum start at 0. */
  readonly grown: Uint32Array
  /** Kept before and now, but pruned and grown in between: weight and momentum start anew from 0. */
  readonly restarted: Uint32Array
  /** What the weights, not their momenta, are set to, before any of them becomes 0; absent: they stay as they are. */
  readonly weights?: Float32Array
  readonly live: number
  /** Weights in surviving channels. */
  readonly capacity: number
}

/** Indices along an axis of a layer. */
export interface AxisIndices {
  readonly layer: string
  readonly axis: number
  readonly indices: Uint32Array
}

/** Channels of one stream that this update removed. */
export interface ChannelEvent {
  readonly stream: string
  /** Their numbers in the present network, and in the one training began with. */
  readonly channels: Uint32Array
  readonly original: Uint32Array
  /** Where they lie in the weights that make them and in those that read them. */
  readonly producers: ReadonlyArray<AxisIndices>
  readonly consumers: ReadonlyArray<AxisIndices>
}

export interface Event {
  readonly step: number
  readonly layers: ReadonlyArray<LayerEvent>
  readonly channels: ReadonlyArray<ChannelEvent>
  readonly removal: Removal | undefined
  /** Kept weights of layers that are not exempt, weights of these in surviving channels, and in the dense network. */
  readonly live: number
  readonly capacity: number
  readonly total: number
  /** `live / total`. */
  readonly density: number
  /** How many weights the last prune, grow or regrow was to leave; more than `live` only where there was no room. */
  readonly target: number | undefined
}

export const channelEvents = ({ state, removed }: Work): ReadonlyArray<ChannelEvent> =>
  state.network.streams.flatMap((stream, s): ReadonlyArray<ChannelEvent> => {
    const now = removed[s]?.map((mark, c) => mark - (state.removed[s]?.[c] ?? 0)) ?? new Uint8Array(0)
    if (!now.includes(1)) return []
    const at = (slot: Slot): AxisIndices => ({ layer: slot.layer, axis: slot.axis, indices: indicesOf(slot, now) })
    const channels = indicesOf({ layer: '', axis: 0 }, now)
    return [
      {
        stream: stream.name,
        channels,
        original: channels.map((c) => state.channels[s]?.[c] ?? 0),
        producers: stream.producers.map(at),
        consumers: stream.consumers.map(at),
      },
    ]
  })

export const eventOf = (work: Work, layers: ReadonlyArray<LayerEvent>): Event => {
  const live = liveOf(work.layers)
  return {
    step: work.step,
    layers,
    channels: channelEvents(work),
    removal: work.removal,
    live,
    capacity: capacitiesOf(work.layers).reduce((n, size) => n + size, 0),
    total: work.total,
    density: work.total === 0 ? 0 : live / work.total,
    target: work.target,
  }
}

/** The mask a layer has in the end (the one it had, if nothing changed) and the positions that changed. */
export const closeLayer = (
  { layer, codes, live, capacity, weights, isRewritten }: WorkLayer,
  before: Uint8Array,
): { readonly mask: Uint8Array; readonly event: LayerEvent } => {
  let [pruned, grown, restarted] = [0, 0, 0]
  for (let i = 0; i < codes.length; i++) {
    const now = codes[i] ?? 0
    const was = before[i] ?? 0
    const is = isKept(now)
    pruned += was & (is ^ 1)
    grown += is & (was ^ 1)
    restarted += hasRestarted(now)
  }
  const event = {
    layer: layer.name,
    pruned: new Uint32Array(pruned),
    grown: new Uint32Array(grown),
    restarted: new Uint32Array(restarted),
    live,
    capacity,
    ...(isRewritten ? { weights } : {}),
  }
  if (pruned + grown + restarted === 0) return { mask: before, event }
  ;[pruned, grown, restarted] = [0, 0, 0]
  const mask = new Uint8Array(codes.length)
  for (let i = 0; i < codes.length; i++) {
    const now = codes[i] ?? 0
    const was = before[i] ?? 0
    const is = isKept(now)
    mask[i] = is
    if (was === is) {
      if (hasRestarted(now) === 1) event.restarted[restarted++] = i
    } else if (is === 1) event.grown[grown++] = i
    else event.pruned[pruned++] = i
  }
  return { mask, event }
}
