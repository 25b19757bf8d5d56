/** What single weights are worth, by their value and gradient; only magnitudes of scores count. */
import type { Draws } from '../../ir/random.ts'
import { type Schedule, valueAt } from './schedule.ts'

/**
 * - `magnitude`: |w|; over all layers at once this is global magnitude pruning.
 * - `signed`: as SET: of the positive and of the negative weights the same fraction, those nearest zero.
 * - `snip`: |w · ∂L/∂w|.
 * - `magnitude and gradient`: |w| + λ |∂L/∂w|, as MEST has it; `gradient` is λ.
 * - `drawn magnitude`: those to keep are drawn, one after the other, with probabilities in proportion to |w| to the power of
 *   `temperature`; as CHTs does. A weight of 0 is kept when there is no other.
 */
export type PruneCriterion =
  | { readonly kind: 'magnitude' | 'signed' | 'snip' }
  | { readonly kind: 'magnitude and gradient'; readonly gradient: number }
  | { readonly kind: 'drawn magnitude'; readonly temperature: Schedule }

/**
 * `gradient`: the largest |∂L/∂w| first. `links`: by what a link would be worth to the links of its layer, a matrix
 * (`missingLinkScores`), the largest first; `drawn links`: with probabilities in proportion to that.
 */
export type GrowCriterion = 'gradient' | 'random' | 'links' | 'drawn links'

/** What scores beyond weights and gradients depend on. */
export interface Chance {
  readonly step: number
  readonly draws: Draws
}

/**
 * Scores whose largest n are n elements drawn without replacement, with probabilities in proportion to `worths`: each worth over
 * an exponential number of its own, the reciprocal of when it comes in a race.
 */
export const drawnScores = (worths: ArrayLike<number>, draws: Draws): Float32Array => {
  const out = new Float32Array(worths.length)
  for (let i = 0; i < out.length; i++) {
    const worth = worths[i] ?? 0
    if (worth > 0) out[i] = worth / draws.exponential()
  }
  return out
}

export const needsGradients = (by: PruneCriterion): boolean =>
  by.kind === 'snip' || by.kind === 'magnitude and gradient'

/** w · g, element by element, in float32. */
export const products = (weights: Float32Array, gradients: Float32Array): Float32Array => {
  const out = new Float32Array(weights.length)
  for (let i = 0; i < out.length; i++) out[i] = (weights[i] ?? 0) * (gradients[i] ?? 0)
  return out
}

/** The scores pruning goes by; the weights themselves, uncopied, where their magnitude is the score. */
export const pruneScores = (
  by: PruneCriterion,
  weights: Float32Array,
  gradients: Float32Array,
  chance: Chance,
): Float32Array => {
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
    case 'drawn magnitude': {
      const power = valueAt(by.temperature, chance.step)
      const largest = weights.reduce((most, w) => Math.max(most, Math.abs(w) || 0), 0)
      const worths = Float64Array.from(weights, (w) => (largest === 0 ? 0 : (Math.abs(w) / largest) ** power))
      return drawnScores(worths, chance.draws)
    }
  }
}
