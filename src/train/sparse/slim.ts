import { dense, gather, materialize, type Tensor } from '../../ir/tensor.ts'
import { type AxisMarks, indicesOf, markAxes, type Slot, type Stream } from './network.ts'
import type { State } from './state.ts'

/** What is left of one layer. */
export interface KeptAxes {
  readonly layer: string
  /** Per axis the indices that stay, ascending; undefined where all do. Weights and momenta are to be gathered by these. */
  readonly axes: ReadonlyArray<Int32Array | undefined>
}

export interface Slimmed {
  readonly state: State
  readonly kept: ReadonlyArray<KeptAxes>
}

/**
 * Drops removed channels from the network: masks, shapes and streams get smaller, and training goes on with weights gathered
 * the same way. Every later update does the same, weight for weight, as it would have done with the channels still there
 * and masked; densities and floors go by the original sizes.
 *
 * `which` (one byte per channel of each stream) limits what is dropped; channels that are not removed stay in any case.
 */
export const slim = (state: State, which: ReadonlyArray<Uint8Array> = state.removed): Slimmed => {
  const { network, removed } = state
  const dropped = removed.map((marks, s) => marks.map((mark, c) => mark & (which[s]?.[c] ?? 0)))
  const gone = markAxes(network, dropped)
  const kept = network.layers.map((layer, l) => ({
    layer: layer.name,
    axes: layer.shape.map((_, axis) => keptIndices(gone[l]?.[axis])),
  }))
  const masks = network.layers.map((layer, l) => {
    const mask: Tensor = dense('uint8', layer.shape, state.masks[l] ?? new Uint8Array(0))
    return materialize(gatherAxes(mask, kept[l]?.axes ?? [])).bytes
  })
  const layers = network.layers.map((layer, l) => ({
    ...layer,
    shape: layer.shape.map((d, axis) => kept[l]?.axes[axis]?.length ?? d),
  }))
  const position = slotMover(state, gone)
  const streams = network.streams.map((stream, s) => slimStream(stream, dropped[s] ?? new Uint8Array(0), position))
  const stay =
    (s: number) =>
    (_: number, c: number): boolean =>
      dropped[s]?.[c] !== 1
  return {
    state: {
      ...state,
      network: { layers, streams },
      masks,
      removed: removed.map((marks, s) => marks.filter(stay(s))),
      marked: state.marked.map((marks, s) => marks.filter(stay(s))),
      channels: state.channels.map((channels, s) => channels.filter(stay(s))),
    },
    kept,
  }
}

const keptIndices = (gone: Uint8Array | undefined): Int32Array | undefined => {
  if (gone === undefined) return undefined
  return Int32Array.from(
    indicesOf(
      { layer: '', axis: 0 },
      gone.map((mark) => 1 - mark),
    ),
  )
}

const gatherAxes = (tensor: Tensor, axes: ReadonlyArray<Int32Array | undefined>): Tensor => {
  let out = tensor
  for (const [axis, indices] of axes.entries()) if (indices !== undefined) out = gather(out, axis, indices)
  return out
}

/** Where a slot begins once the indices before it that go are gone. */
const slotMover = ({ network }: State, gone: AxisMarks): ((slot: Slot) => number) => {
  const number = new Map(network.layers.map((layer, l) => [layer.name, l]))
  return ({ layer, axis, offset = 0 }) => {
    const before = gone[number.get(layer) ?? -1]?.[axis]?.subarray(0, offset)
    return offset - (before?.reduce((n, mark) => n + mark, 0) ?? 0)
  }
}

const slimStream = (stream: Stream, dropped: Uint8Array, position: (slot: Slot) => number): Stream => {
  const at = (slot: Slot): Slot => (slot.offset === undefined ? slot : { ...slot, offset: position(slot) })
  return {
    ...stream,
    channels: stream.channels - dropped.reduce((n, mark) => n + mark, 0),
    producers: stream.producers.map(at),
    consumers: stream.consumers.map(at),
  }
}
