/** Masks the weights of neurons that nothing reads or that read nothing. */
import { code, isKept, prunedCode } from './codes.ts'
import { indicesOf, sizeOfLayer, type Slot, type Stream } from './network.ts'
import { liveOf, type Work, type WorkLayer } from './workspace.ts'

/**
 * Of every stream whose layers all have masks: a channel without a weight on one side loses those on the other. Streams are
 * gone through in their order until nothing is idle any more. What goes counts as pruned, so that it is grown again.
 */
export const pruneIdle = (work: Work): void => {
  const before = work.layers.map((layer) => layer.live)
  const byName = new Map(work.layers.map((layer) => [layer.layer.name, layer]))
  const streams = work.state.network.streams.filter(({ producers, consumers }) =>
    [...producers, ...consumers].every(({ layer }) => byName.has(layer)),
  )
  for (let again = true; again;) {
    again = false
    for (const stream of streams) if (clear(stream, byName)) again = true
  }
  const lost = work.layers.map((layer, l) => (before[l] ?? 0) - layer.live)
  work.pruned = lost.map((n, l) => n + (work.pruned[l] ?? 0))
  work.target = liveOf(work.layers)
}

const clear = ({ channels, producers, consumers }: Stream, byName: ReadonlyMap<string, WorkLayer>): boolean => {
  let cleared = false
  for (let c = 0; c < channels; c++) {
    const places = (slots: ReadonlyArray<Slot>) => slots.flatMap((slot) => placesOf(slot, c, channels, byName))
    const [made, read] = [places(producers), places(consumers)]
    const counts = [made, read].map((list) => list.reduce((n, [layer, i]) => n + isKept(layer.codes[i] ?? 0), 0))
    if (counts.every((n) => n > 0) || counts.every((n) => n === 0)) continue
    for (const [layer, i] of [...made, ...read]) {
      if (isKept(layer.codes[i] ?? code.inactive) === 0) continue
      layer.codes[i] = prunedCode(layer.codes[i] ?? code.active)
      layer.live -= 1
    }
    cleared = true
  }
  return cleared
}

/** Every weight of a channel in one slot. */
const placesOf = (
  slot: Slot,
  channel: number,
  channels: number,
  byName: ReadonlyMap<string, WorkLayer>,
): ReadonlyArray<readonly [WorkLayer, number]> => {
  const layer = byName.get(slot.layer)
  if (layer === undefined) return []
  const { shape } = layer.layer
  const inner = sizeOfLayer({ shape: shape.slice(slot.axis + 1) })
  const period = inner * (shape[slot.axis] ?? 1)
  const mark = new Uint8Array(channels)
  mark[channel] = 1
  const out: Array<readonly [WorkLayer, number]> = []
  for (const index of indicesOf(slot, mark)) {
    for (let start = index * inner; start < layer.codes.length; start += period) {
      for (let i = start; i < start + inner; i++) out.push([layer, i])
    }
  }
  return out
}
