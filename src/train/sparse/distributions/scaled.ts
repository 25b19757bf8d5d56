/** Layer densities in given proportions, scaled to a budget. */

export interface Scaled {
  /** What the raw densities of layers that are not dense are multiplied by. */
  readonly epsilon: number
  /** One per layer, at most 1. */
  readonly densities: ReadonlyArray<number>
}

/**
 * Densities ε · rawₗ for the ε that makes `density` of all weights: Σ Nₗ dₗ = density · Σ Nₗ. While the largest of them would
 * exceed 1, every layer with that raw density becomes dense and ε is found again for the others. Layers without
 * weights get 0.
 */
export const scaleToBudget = (raw: ReadonlyArray<number>, sizes: ReadonlyArray<number>, density: number): Scaled => {
  const total = sizes.reduce((n, size) => n + size, 0)
  const dense = new Set<number>()
  for (;;) {
    let [budget, divisor, largest] = [density * total, 0, 0]
    for (const [l, size] of sizes.entries()) {
      if (size === 0) continue
      const r = raw[l] ?? 0
      if (dense.has(l)) {
        budget -= size
        continue
      }
      divisor += r * size
      largest = Math.max(largest, r)
    }
    const epsilon = divisor > 0 ? budget / divisor : 0
    if (largest * epsilon <= 1) {
      const densities = sizes.map((size, l) =>
        size === 0 ? 0 : dense.has(l) ? 1 : Math.max(0, epsilon * (raw[l] ?? 0)),
      )
      return { epsilon, densities }
    }
    for (const [l, r] of raw.entries()) if (r === largest && (sizes[l] ?? 0) > 0) dense.add(l)
  }
}
