/** What an update did, in the terms of the other program. */
import type { sparse } from '../../train/index.ts'
import { drivenAxes, type Binding } from './binding.ts'

/** Plain data: counts for each layer, and for removed channels where they lie in which tensors, if that can be said. */
export const describeEvent = (
  { step, density, live, total, layers, channels }: sparse.Event,
  binding: Binding,
): Readonly<Record<string, unknown>> => {
  const named = new Map(binding.network.layers.map(({ name }, l) => [name, l]))
  const axes = channels.length === 0 ? [] : drivenAxes(binding)
  const placeOf = ({ layer, axis, indices }: sparse.AxisIndices): ReadonlyArray<Readonly<Record<string, unknown>>> => {
    const found = axes[named.get(layer) ?? -1]?.[axis]
    return found === undefined ? [] : [{ ...found, indices: Array.from(indices) }]
  }
  const sum = (part: 'pruned' | 'grown' | 'restarted'): number => layers.reduce((n, layer) => n + layer[part].length, 0)
  return {
    step,
    density,
    live,
    total,
    pruned: sum('pruned'),
    grown: sum('grown'),
    restarted: sum('restarted'),
    layers: layers.map(({ layer, pruned, grown, restarted, live: kept, capacity }) => ({
      layer,
      pruned: pruned.length,
      grown: grown.length,
      restarted: restarted.length,
      live: kept,
      capacity,
    })),
    removed: channels.map(({ stream, original, producers, consumers }) => ({
      stream,
      channels: Array.from(original),
      made: producers.flatMap(placeOf),
      read: consumers.flatMap(placeOf),
    })),
  }
}
