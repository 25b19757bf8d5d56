/** Densities and channels of a sparse state, for people. */
import { sizeOf } from '../../ir/type.ts'
import type { State } from '../sparse/index.ts'

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
  left: removed.reduce((n, marks) => n + marks.reduce((sum, mark) => sum + 1 - mark, 0), 0),
  of: origin.streams.reduce((n, stream) => n + stream.channels, 0),
})
