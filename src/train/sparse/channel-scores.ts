/** What each channel of a stream is worth, by the weights that make it. */
import type { ChannelScore } from '../../masks/scores.ts'
import { kept } from './codes.ts'
import { type Layer, type Slot, sizeOfLayer, type Stream } from './network.ts'
import type { WorkLayer } from './workspace.ts'

/** Sums over the weights that make each channel, all producers taken together. */
interface Tally {
  readonly sums: Float64Array
  readonly kept: Float64Array
  /** All weights, or all kernels, as training began. */
  readonly of: Float64Array
}

/**
 * One finite score per channel of the stream; higher is worth more. As `ChannelScore` says, with the weights of all producers
 * pooled: UMM is Σ|w| over every producer's weights for the channel, divided by their number.
 *
 * Denominators are the sizes as training began (`origin`): what went with channels of earlier layers counts as masked, so that
 * scores are the same whether or not removed channels have been dropped. A NaN counts as 0.
 */
export const scoreStream = (
  stream: Stream,
  layers: ReadonlyMap<string, WorkLayer>,
  origin: ReadonlyMap<string, Layer>,
  score: ChannelScore,
): Float64Array => {
  const tally: Tally = {
    sums: new Float64Array(stream.channels),
    kept: new Float64Array(stream.channels),
    of: new Float64Array(stream.channels),
  }
  for (const slot of stream.producers) {
    const layer = layers.get(slot.layer)
    const original = origin.get(slot.layer)
    if (layer !== undefined && original !== undefined) addProducer(tally, layer, original, slot, score)
  }
  return tally.sums.map((sum, c) => {
    if (sum === 0) return 0
    switch (score) {
      case 'umm':
      case 'weights':
      case 'kernels':
        return sum / (tally.of[c] ?? 1)
      case 'mmm':
        return sum / (tally.kept[c] ?? 1)
      case 'l1':
        return sum
      case 'l2':
        return Math.sqrt(sum)
    }
  })
}

const addProducer = (
  tally: Tally,
  { layer, weights, codes }: WorkLayer,
  origin: Layer,
  slot: Slot,
  score: ChannelScore,
): void => {
  const { offset = 0, span = 1, axis } = slot
  const indices = layer.shape[axis] ?? 0
  const inner = sizeOfLayer({ shape: layer.shape.slice(axis + 1) })
  const inputs = layer.shape[layer.inputAxis] ?? 1
  const inputStride = sizeOfLayer({ shape: layer.shape.slice(layer.inputAxis + 1) })
  const kernels = score === 'kernels' ? new Uint8Array(indices * inputs) : undefined
  const end = offset + tally.sums.length * span
  for (let start = 0; start < codes.length; start += indices * inner) {
    for (let index = offset; index < end; index++) {
      let [sum, count] = [0, 0]
      const first = start + index * inner
      for (let i = first; i < first + inner; i++) {
        if (((codes[i] ?? 0) & kept) === 0) continue
        const magnitude = Math.abs(weights[i] ?? 0) || 0
        count += 1
        sum += shareOf(score, magnitude)
        if (kernels !== undefined && magnitude > 0) kernels[index * inputs + (Math.floor(i / inputStride) % inputs)] = 1
      }
      const channel = Math.floor((index - offset) / span)
      if (kernels === undefined) tally.sums[channel] = (tally.sums[channel] ?? 0) + sum
      tally.kept[channel] = (tally.kept[channel] ?? 0) + count
    }
  }
  const parts =
    score === 'kernels' ? (origin.shape[origin.inputAxis] ?? 1) : sizeOfLayer(origin) / (origin.shape[axis] ?? 1)
  for (let index = offset; index < end; index++) {
    const channel = Math.floor((index - offset) / span)
    tally.of[channel] = (tally.of[channel] ?? 0) + parts
    const used = kernels?.subarray(index * inputs, (index + 1) * inputs).reduce((n, flag) => n + flag, 0) ?? 0
    tally.sums[channel] = (tally.sums[channel] ?? 0) + used
  }
}

/** What one kept weight adds to its channel's sum. */
const shareOf = (score: ChannelScore, magnitude: number): number => {
  switch (score) {
    case 'umm':
    case 'mmm':
    case 'l1':
      return magnitude
    case 'l2':
      return magnitude * magnitude
    case 'weights':
    case 'kernels':
      return magnitude > 0 ? 1 : 0
  }
}
