/** How much each output channel of a layer seems worth, judged by its own weights. Higher is worth more. */
import { elements } from '../ir/tensor.ts'
import { expandMask, type Mask } from './mask.ts'
import { blockLayout, type Layer } from './weights.ts'

/**
 * - `umm`, unmasked mean magnitude: mean |w| over all weights of the channel, masked ones counting as zero (Chase). It is
 *   the density of the channel times its `mmm`: quantity times quality.
 * - `mmm`, masked mean magnitude: mean |w| over the weights that are not masked. A channel that is wholly masked scores 0
 *   (not NaN, as in the authors' code, which for that reason never removes such channels).
 * - `weights`: the fraction of weights that are not zero.
 * - `kernels`: the fraction of kernels (the weights for one input channel) that are not all zero.
 * - `l1`: Σ |w|.
 * - `l2`: √Σ w².
 */
export const channelScores = ['umm', 'mmm', 'weights', 'kernels', 'l1', 'l2'] as const

export type ChannelScore = (typeof channelScores)[number]

/**
 * One score per output channel, from the weights that make it, multiplied by their mask. Biases, normalisation and the
 * weights that read the channel have no part in it, nor are layers scaled against each other. O(weights); float32 weights
 * are not copied.
 */
export const scoreChannels = (layer: Layer, mask: Mask | undefined, score: ChannelScore): Float64Array => {
  const values = elements(layer.tensor)
  const bits = mask && expandMask(mask)
  const { rows, columns, block, outputOf } = blockLayout(layer)
  const sums = new Float64Array(layer.outputs)
  const unmasked = new Float64Array(layer.outputs)
  const perKernel = score === 'kernels'
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const start = (row * columns + column) * block
      let [sum, kept] = [0, 0]
      for (let k = start; k < start + block; k++) {
        if (bits !== undefined && bits[k] !== 1) continue
        kept += 1
        sum += shareOf(score, Number(values[k]))
      }
      const output = outputOf(row, column)
      sums[output] = (sums[output] ?? 0) + (perKernel ? Number(sum > 0) : sum)
      unmasked[output] = (unmasked[output] ?? 0) + kept
    }
  }
  const kernels = layer.inputsPerGroup
  return sums.map((sum, o) => {
    if (sum === 0) return 0
    switch (score) {
      case 'umm':
      case 'weights':
        return sum / (kernels * block)
      case 'mmm':
        return sum / (unmasked[o] ?? 1)
      case 'kernels':
        return sum / kernels
      case 'l1':
        return sum
      case 'l2':
        return Math.sqrt(sum)
    }
  })
}

/** What one weight adds to its channel's sum. */
const shareOf = (score: ChannelScore, w: number): number => {
  switch (score) {
    case 'umm':
    case 'mmm':
    case 'l1':
      return Math.abs(w)
    case 'l2':
      return w * w
    case 'weights':
    case 'kernels':
      return w === 0 ? 0 : 1
  }
}
