/** A network as sparse training sees it: the shapes of its weights and which of their indices are one channel. */

/** A weight that carries a mask. Axes may lie in any order, so the layouts of ONNX and TensorFlow.js both do. */
export interface Layer {
  readonly name: string
  readonly shape: ReadonlyArray<number>
  readonly outputAxis: number
  readonly inputAxis: number
  /** Keeps every weight of its surviving channels and counts towards no density: only channel removal touches it. */
  readonly exempt?: boolean
  /**
   * Of a vector with a number for each channel, which has one axis and is exempt: whether channels are multiplied by it, or it is
   * added to them.
   */
  readonly role?: 'scale' | 'shift'
}

/** Where the channels of a stream lie in a weight: channel c is indices `offset + c·span` up to `offset + (c+1)·span` of `axis`. */
export interface Slot {
  /** The name of the layer. */
  readonly layer: string
  readonly axis: number
  /** 0 unless the stream is one part of a concatenation. */
  readonly offset?: number
  /** 1 unless a flattened map of this many positions is read, channel by channel. */
  readonly span?: number
}

/** Channels that come and go together: what makes each of them and what reads it. */
export interface Stream {
  readonly name: string
  readonly channels: number
  /**
   * `block`: made by one layer, as in the released Chase; `all`: only removable under scope `all`, such as the channels
   * of a residual connection, made by every layer that adds to it.
   */
  readonly scope: 'block' | 'all'
  /** The weights that make the channels, along their output axis; a channel is judged by these. */
  readonly producers: ReadonlyArray<Slot>
  /** Every other weight with the channels on an axis: those that read them, and depthwise ones in between. */
  readonly consumers: ReadonlyArray<Slot>
  /** Scales and shifts of the channels, for policies that look at these. */
  readonly vectors?: ReadonlyArray<Slot>
}

export interface Network {
  readonly layers: ReadonlyArray<Layer>
  readonly streams: ReadonlyArray<Stream>
  /** Scales and shifts; layers like others under policies that look at them. */
  readonly vectors?: ReadonlyArray<Layer>
}

export const sizeOfLayer = (layer: Pick<Layer, 'shape'>): number => layer.shape.reduce((n, d) => n * d, 1)

export const slotsOf = (stream: Stream): ReadonlyArray<Slot> => [...stream.producers, ...stream.consumers]

/**
 * Where what makes the channels of a stream lies: weights along their output axis, depthwise ones in between too, and the scales and
 * shifts that the policy sees. Where all of it is 0, a channel is.
 */
export const membersOf = (stream: Stream, layerOf: (name: string) => Layer | undefined): ReadonlyArray<Slot> =>
  slotsOf(stream).filter(({ layer, axis }) => layerOf(layer)?.outputAxis === axis)

/** The numbers of the streams that a policy of that scope takes channels from. */
export const streamsIn = ({ streams }: Network, scope: 'block' | 'all'): ReadonlyArray<number> =>
  streams.flatMap((stream, s) => (scope === 'all' || stream.scope === 'block' ? [s] : []))

/** Where the scales of a stream's channels lie. */
export const scalesOf = (stream: Stream | undefined, { layers }: Network): ReadonlyArray<Slot> => {
  const scales = new Set(layers.flatMap(({ name, role }) => (role === 'scale' ? [name] : [])))
  return stream?.consumers.filter(({ layer }) => scales.has(layer)) ?? []
}

/** The indices along a slot's axis that belong to the channels marked in `channels`, ascending if the channels are. */
export const indicesOf = (slot: Slot, channels: Uint8Array): Uint32Array => {
  const { offset = 0, span = 1 } = slot
  const out: number[] = []
  for (const [channel, marked] of channels.entries()) {
    if (marked !== 1) continue
    for (let k = 0; k < span; k++) out.push(offset + channel * span + k)
  }
  return Uint32Array.from(out)
}

/** Calls `visit` with the channel and the place of every run of neighbouring weights that belong to one, in row-major order. */
export const visitChannels = (
  { shape }: Pick<Layer, 'shape'>,
  { axis, offset = 0, span = 1 }: Slot,
  channels: number,
  visit: (channel: number, begin: number, end: number) => void,
): void => {
  const inner = sizeOfLayer({ shape: shape.slice(axis + 1) })
  const period = inner * (shape[axis] ?? 1)
  const size = sizeOfLayer({ shape })
  for (let start = offset * inner; start < size; start += period) {
    for (let c = 0; c < channels; c++) visit(c, start + c * span * inner, start + (c + 1) * span * inner)
  }
}

/** Per layer and axis one byte per index, 1 where `marks` (one byte per channel of each stream) are 1; undefined where none is. */
export type AxisMarks = ReadonlyArray<ReadonlyArray<Uint8Array | undefined>>

export const markAxes = (network: Network, marks: ReadonlyArray<Uint8Array>): AxisMarks => {
  const byName = new Map(
    network.layers.map((layer) => [layer.name, layer.shape.map((): Uint8Array | undefined => undefined)]),
  )
  const shapes = new Map(network.layers.map((layer) => [layer.name, layer.shape]))
  for (const [s, stream] of network.streams.entries()) {
    const channels = marks[s]
    if (channels === undefined || !channels.includes(1)) continue
    for (const slot of slotsOf(stream)) {
      const axes = byName.get(slot.layer)
      if (axes === undefined) continue
      const axis = axes[slot.axis] ?? new Uint8Array(shapes.get(slot.layer)?.[slot.axis] ?? 0)
      for (const index of indicesOf(slot, channels)) axis[index] = 1
      axes[slot.axis] = axis
    }
  }
  return network.layers.map((layer) => byName.get(layer.name) ?? [])
}

/** The layers without the indices that are marked. */
export const survivingLayers = (network: Network, removed: ReadonlyArray<Uint8Array>): ReadonlyArray<Layer> => {
  const gone = markAxes(network, removed)
  return network.layers.map((layer, l) => ({
    ...layer,
    shape: layer.shape.map((d, axis) => d - (gone[l]?.[axis]?.reduce((n, mark) => n + mark, 0) ?? 0)),
  }))
}
