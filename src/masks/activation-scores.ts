/** How much channels seem worth by what a network computes on a calibration set. Higher is worth more. */
import { elements } from '../ir/tensor.ts'
import { expandMask, type Mask } from './mask.ts'
import { type ChannelStatistics, rootMeanSquares } from './statistics.ts'
import { type Layer, weightRows } from './weights.ts'

/**
 * - `wanda`: the mean of |w| · √E[x²] over the weights that make the channel, x what each is multiplied with: Wanda's score of single
 *   weights (arXiv 2306.11695), summed up as `umm` sums up |w|.
 * - `wifn`, weighted input feature norm: √E[x²] · mean |w| over the weights that read the channel, x the channel itself (FLAP,
 *   arXiv 2312.11983).
 * - `wifv`, weighted input feature variance: Var[x] · Σ w² over the weights that read it: what is lost where the mean of the channel is
 *   not (FLAP). It fits channels of which the mean is near 0, since a mask takes the mean as well.
 *
 * `wifn` and `wifv` are standardised in each layer, as FLAP does before it compares layers.
 */
export const activationScores = ['wanda', 'wifn', 'wifv'] as const

export type ActivationScore = (typeof activationScores)[number]

/** `wanda` of each output channel of a layer. */
export const scoreOutputs = (layer: Layer, mask: Mask | undefined, statistics: ChannelStatistics): Float64Array => {
  const norms = rootMeanSquares(statistics)
  const sums = new Float64Array(layer.outputs)
  const { length } = visitWeights(layer, mask, (w, output, input) => {
    sums[output] = (sums[output] ?? 0) + Math.abs(w) * (norms[input] ?? 0)
  })
  return sums.map((sum) => (length === 0 ? 0 : sum / length))
}

/** `wifn` or `wifv` of each input channel of a layer, of mean 0 and standard deviation 1 over all of them; 0 where all are equal. */
export const scoreInputs = (
  layer: Layer,
  mask: Mask | undefined,
  statistics: ChannelStatistics,
  score: Exclude<ActivationScore, 'wanda'>,
): Float64Array => {
  const sums = new Float64Array(layer.inputs)
  visitWeights(layer, mask, (w, _, input) => {
    sums[input] = (sums[input] ?? 0) + (score === 'wifn' ? Math.abs(w) : w * w)
  })
  const sizes = score === 'wifn' ? rootMeanSquares(statistics) : statistics.variance
  const kernels = layer.outputsPerGroup
  return standardised(sums.map((sum, c) => (score === 'wifn' ? sum / kernels : sum) * (sizes[c] ?? 0)))
}

const standardised = (values: Float64Array): Float64Array => {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length
  const deviation = Math.sqrt(values.reduce((sum, x) => sum + (x - mean) ** 2, 0) / Math.max(1, values.length - 1))
  return values.map((x) => (deviation > 0 ? (x - mean) / deviation : 0))
}

/** Visits the weights that a mask keeps with the channels that they stand between; gives the weights of an output channel. */
const visitWeights = (
  layer: Layer,
  mask: Mask | undefined,
  take: (w: number, output: number, input: number) => void,
): { readonly length: number } => {
  const { rows, length, kernel, indexOf, firstInput } = weightRows(layer)
  const values = elements(layer.tensor)
  const bits = mask && expandMask(mask)
  for (let row = 0; row < rows; row++) {
    for (let place = 0; place < length; place++) {
      const index = indexOf(row, place)
      if (bits === undefined || bits[index] === 1)
        take(Number(values[index]), row, firstInput(row) + Math.floor(place / kernel))
    }
  }
  return { length }
}
