/** What single weights are worth, by their value, gradient and curvature. */
import type { Draws } from '../../ir/random.ts'
import { type Schedule, valueAt } from './schedule.ts'

/**
 * - `magnitude`: |w|; over all layers at once this is global magnitude pruning.
 * - `signed`: as SET: of the positive and of the negative weights the same fraction, those nearest zero.
 * - `snip`: |w · ∂L/∂w|.
 * - `sensitivity`: |∂L/∂w| / |w|, and `reciprocal sensitivity`: |w| / |∂L/∂w|; a divisor of 0 is a tiny number.
 * - `random`: all are worth the same, and which go is drawn.
 * - `gradient flow`: w · (H g), as GraSP has it, g the gradient of the loss and H its Hessian: what taking the weight out adds to
 *   |g|², up to a factor. The only one whose sign counts: the least first, those below zero before all others.
 * - `magnitude and gradient`: |w| + λ |∂L/∂w|, as MEST has it; `gradient` is λ.
 * - `drawn magnitude`: those to keep are drawn, one after the other, with probabilities in proportion to |w| to the power of
 *   `temperature`; as CHTs does. A weight of 0 is kept when there is no other.
 */
export type PruneCriterion =
  | {
      readonly kind:
        'magnitude' | 'signed' | 'snip' | 'sensitivity' | 'reciprocal sensitivity' | 'random' | 'gradient flow'
    }
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

/** What there is to score the weights of a layer by; all arrays have its size, or are empty where nothing looks at them. */
export interface Scored {
  readonly weights: Float32Array
  readonly gradients: Float32Array
  readonly curvature: Float32Array
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

/** What a criterion looks at beside weights, if anything. */
export const lookedAt = ({ kind }: PruneCriterion): 'gradients' | 'curvature' | undefined => {
  switch (kind) {
    case 'snip':
    case 'sensitivity':
    case 'reciprocal sensitivity':
    case 'magnitude and gradient':
      return 'gradients'
    case 'gradient flow':
      return 'curvature'
    case 'magnitude':
    case 'signed':
    case 'random':
    case 'drawn magnitude':
      return undefined
  }
}

/** w · g, element by element, in float32. */
export const products = (weights: Float32Array, gradients: Float32Array): Float32Array => {
  const out = new Float32Array(weights.length)
  for (let i = 0; i < out.length; i++) out[i] = (weights[i] ?? 0) * (gradients[i] ?? 0)
  return out
}

/** Where a divisor may be 0. */
const tiny = 1e-8

/** |a| / (|b| + tiny), element by element, in float32. */
const ratios = (a: Float32Array, b: Float32Array): Float32Array => {
  const out = new Float32Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = Math.abs(a[i] ?? 0) / (Math.abs(b[i] ?? 0) + tiny)
  return out
}

/** The scores pruning goes by; the weights themselves, uncopied, where their magnitude is the score. */
export const pruneScores = (
  by: PruneCriterion,
  { weights, gradients, curvature }: Scored,
  chance: Chance,
): Float32Array => {
  switch (by.kind) {
    case 'magnitude':
    case 'signed':
    case 'random':
      return weights
    case 'snip':
      return products(weights, gradients)
    case 'sensitivity':
      return ratios(gradients, weights)
    case 'reciprocal sensitivity':
      return ratios(weights, gradients)
    case 'gradient flow':
      return products(weights, curvature)
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
