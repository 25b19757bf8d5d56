import { code } from '../codes.ts'
import { products } from '../scores.ts'
import { selectByMagnitude } from '../select.ts'

/**
 * SNIP's layer ratios: the `density` of all weights with the largest |w · ∂L/∂w| on one batch, over all layers at once;
 * what remains of each layer is its density. Where the weights lie inside a layer is not taken over. Exact count; O(n).
 */
export const snipRatios = (
  weights: ReadonlyArray<Float32Array>,
  gradients: ReadonlyArray<Float32Array>,
  density: number,
): ReadonlyArray<number> => {
  const pools = weights.map((w, l) => ({
    scores: products(w, gradients[l] ?? new Float32Array(w.length)),
    codes: new Uint8Array(w.length).fill(code.inactive),
  }))
  const total = weights.reduce((n, w) => n + w.length, 0)
  const taken = selectByMagnitude(pools, code.inactive, Math.round(density * total), 'highest', () => code.grown)
  return weights.map((w, l) => (w.length === 0 ? 0 : (taken[l] ?? 0) / w.length))
}
