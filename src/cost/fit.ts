/** Coefficients from measurements: least squares without negative coefficients, of relative errors. */

export interface Row {
  readonly terms: ReadonlyArray<number>
  /** What the terms add up to; not 0. */
  readonly time: number
}

/** How often the rows are weighed anew, and sweeps over the coefficients each time. */
const [rounds, sweeps] = [6, 4000]

/** An error below this one weighs no more. */
const leastError = 0.02

/**
 * Non-negative coefficients that minimise `Σ |Σ_j coefficient_j · term_j / time - 1|` about: rows of large errors weigh less from
 * round to round (iteratively reweighted least squares), each round is solved coordinate by coordinate.
 */
export const fit = (rows: ReadonlyArray<Row>): ReadonlyArray<number> => {
  const count = rows[0]?.terms.length ?? 0
  const relative = rows.map(({ terms, time }) => terms.map((term) => term / time))
  const scale = Array.from({ length: count }, (_, j) => Math.max(...relative.map((row) => row[j] ?? 0)) || 1)
  const scaled = relative.map((row) => row.map((x, j) => x / (scale[j] ?? 1)))
  let weights = rows.map(() => 1)
  let found: Float64Array = new Float64Array(count)
  for (let round = 0; round < rounds; round++) {
    found = solve(scaled, weights, found)
    weights = scaled.map((row) => 1 / Math.max(leastError, Math.abs(dot(row, found) - 1)))
  }
  return Array.from(found, (x, j) => x / (scale[j] ?? 1))
}

/** Minimises `Σ weight · (row · x - 1)²` over `x ≥ 0`. */
const solve = (
  rows: ReadonlyArray<ReadonlyArray<number>>,
  weights: ReadonlyArray<number>,
  start: Float64Array,
): Float64Array => {
  const count = start.length
  const squares = Array.from({ length: count }, () => new Float64Array(count))
  const sums = new Float64Array(count)
  rows.forEach((row, r) => {
    const weight = weights[r] ?? 0
    for (let i = 0; i < count; i++) {
      const x = weight * (row[i] ?? 0)
      sums[i] = (sums[i] ?? 0) + x
      const line = squares[i]
      if (line !== undefined) for (let j = 0; j < count; j++) line[j] = (line[j] ?? 0) + x * (row[j] ?? 0)
    }
  })
  const out = start.slice()
  for (let sweep = 0; sweep < sweeps; sweep++) {
    for (let j = 0; j < count; j++) {
      const line = squares[j]
      const own = line?.[j] ?? 0
      if (line === undefined || own === 0) continue
      out[j] = Math.max(0, (out[j] ?? 0) + ((sums[j] ?? 0) - dot(line, out)) / own)
    }
  }
  return out
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] ?? 0) * (b[i] ?? 0)
  return sum
}
