/** What single weights are worth, by their value and gradient; only magnitudes of scores count. */

/**
 * - `magnitude`: |w|; over all layers at once this is global magnitude pruning.
 * - `signed`: as SET: of the positive and of the negative weights the same fraction, those nearest zero.
 * - `snip`: |w · ∂L/∂w|.
 * - `magnitude and gradient`: |w| + λ |∂L/∂w|, as MEST has it; `gradient` is λ.
 */
export type PruneCriterion =
  | { readonly kind: 'magnitude' | 'signed' | 'snip' }
  | { readonly kind: 'magnitude and gradient'; readonly gradient: number }

/** `gradient`: the largest |∂L/∂w| first. */
export type GrowCriterion = 'gradient' | 'random'

export const needsGradients = (by: PruneCriterion): boolean =>
  by.kind === 'snip' || by.kind === 'magnitude and gradient'

/** w · g, element by element, in float32. */
export const products = (weights: Float32Array, gradients: Float32Array): Float32Array => {
  const out = new Float32Array(weights.length)
  for (let i = 0; i < out.length; i++) out[i] = (weights[i] ?? 0) * (gradients[i] ?? 0)
  return out
}

/** The scores pruning goes by; the weights themselves, uncopied, where their magnitude is the score. */
export const pruneScores = (by: PruneCriterion, weights: Float32Array, gradients: Float32Array): Float32Array => {
  switch (by.kind) {
    case 'magnitude':
    case 'signed':
      return weights
    case 'snip':
      return products(weights, gradients)
    case 'magnitude and gradient': {
      const out = new Float32Array(weights.length)
      for (let i = 0; i < out.length; i++)
        out[i] = Math.abs(weights[i] ?? 0) + by.gradient * Math.abs(gradients[i] ?? 0)
      return out
    }
  }
}
