/** Where repeated measurements lie. */
export interface Quartiles {
  readonly q1: number
  readonly median: number
  readonly q3: number
}

/** The value below which the share `p` of the sorted values lies, interpolated between neighbours. */
const quantile = (sorted: ReadonlyArray<number>, p: number): number => {
  const at = (sorted.length - 1) * p
  const low = sorted[Math.floor(at)] ?? NaN
  const high = sorted[Math.ceil(at)] ?? NaN
  return low + (high - low) * (at - Math.floor(at))
}

/** Quartiles of at least one value. */
export const quartiles = (values: ReadonlyArray<number>): Quartiles => {
  const sorted = [...values].sort((a, b) => a - b)
  return { q1: quantile(sorted, 0.25), median: quantile(sorted, 0.5), q3: quantile(sorted, 0.75) }
}
