/** What a link that is not there would be worth by the links that are, in the two-sided graph of a layer's neurons. */

/**
 * The CH2-L3n score of Cannistraci-Hebb training (arXiv 2501.19107, as in the authors' code) of every missing link, 0 for
 * those there are. `adjacency` has one byte for each weight of [rows, columns]: 1 linked.
 *
 * With A the adjacency, D = A · Aᵀ counts the neighbours that two rows have in common, and e(i, j) = max(degree(j) - D(i, j), 1) - 1
 * those that j has besides, but one. C(i, j) = (D(i, j) + 1) / (e(i, j) + 1) where D(i, j) > 0, else 0. The score is C · A, and
 * the same of the columns, added.
 */
export const missingLinkScores = (adjacency: Uint8Array, rows: number, columns: number): Float32Array => {
  const scores = new Float64Array(adjacency.length)
  addPaths(scores, adjacency, [rows, columns], [columns, 1])
  addPaths(scores, adjacency, [columns, rows], [1, columns])
  return Float32Array.from(scores, (score, i) => (adjacency[i] === 1 ? 0 : score))
}

type Pair = readonly [number, number]

/** Adds C · A of one side; element (i, c) of A lies at i · strides[0] + c · strides[1]. */
const addPaths = (out: Float64Array, adjacency: Uint8Array, [size, other]: Pair, [step, inner]: Pair): void => {
  const linked = (count: number, across: number, from: number, to: number): ReadonlyArray<ReadonlyArray<number>> =>
    Array.from({ length: count }, (_, i) => {
      const found: number[] = []
      for (let c = 0; c < across; c++) if (adjacency[i * from + c * to] === 1) found.push(c)
      return found
    })
  const neighbours = linked(size, other, step, inner)
  const readers = linked(other, size, inner, step)
  const common = new Float64Array(size)
  for (const [i, mine] of neighbours.entries()) {
    common.fill(0)
    for (const c of mine) for (const j of readers[c] ?? []) common[j] = (common[j] ?? 0) + 1
    for (const [j, theirs] of neighbours.entries()) {
      const shared = common[j] ?? 0
      if (shared === 0) continue
      const besides = Math.max(theirs.length - shared, 1) - 1
      const worth = (shared + 1) / (besides + 1)
      for (const c of theirs) out[i * step + c * inner] = (out[i * step + c * inner] ?? 0) + worth
    }
  }
}
