/** N:M sparsity that is continuous in the weights: of every m neighbours, the n largest are brought nearer to 0 by the next one. */
import { isKept } from './codes.ts'
import { eachGroup } from './keep-pattern.ts'
import type { Layer } from './network.ts'
import type { SoftThreshold } from './policy.ts'
import type { Work } from './workspace.ts'

/**
 * scale · sign(w) · max(0, |w| - t) where the mask keeps w, 0 elsewhere; t is the largest masked magnitude among the m neighbours
 * that w is one of, or 0. All in float32. A NaN counts as 0 for t.
 */
export const softThresholded = (
  layer: Layer,
  weights: Float32Array,
  mask: Uint8Array,
  { m, axis }: Pick<SoftThreshold, 'm' | 'axis'>,
  scale: number,
): Float32Array => {
  const out = new Float32Array(weights.length)
  eachGroup(layer, axis, m, (start, end, stride) => {
    let threshold = 0
    for (let i = start; i < end; i += stride) {
      const magnitude = Math.abs(weights[i] ?? 0)
      if (mask[i] !== 1 && magnitude > threshold) threshold = magnitude
    }
    for (let i = start; i < end; i += stride) {
      const w = weights[i] ?? 0
      if (mask[i] !== 1 || Math.abs(w) <= threshold) continue
      // Two steps, each rounded to float32.
      out[i] = w > 0 ? w - threshold : w + threshold
      out[i] = (out[i] ?? 0) * scale
    }
  })
  return out
}

/**
 * For each layer the number that brings what `softThresholded` makes of it nearest to its weights: Σ w·s / Σ s², s made with 1. It
 * is 1 where all of s is 0, and where the sums are no numbers.
 */
export const fitScales = (work: Work): void => {
  const { masked } = work.state.policy
  if (masked === 'zeroed' || masked.kind !== 'soft threshold') return
  const counted = new Set(work.layers)
  work.scales = Float32Array.from(work.all, (one) => {
    if (!counted.has(one)) return 1
    const mask = one.codes.map(isKept)
    const soft = softThresholded(one.layer, one.weights, mask, masked, 1)
    let [product, square] = [0, 0]
    for (const [i, s] of soft.entries()) {
      product += (one.weights[i] ?? 0) * s
      square += s * s
    }
    const scale = product / square
    return Number.isFinite(scale) ? scale : 1
  })
}
