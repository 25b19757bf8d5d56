/** Matrices of doubles, row by row: products and the eigenvectors of symmetric ones. */

/** `a · b` of `[rows, inner]` and `[inner, columns]`. */
export const product = (
  a: Float64Array,
  b: Float64Array,
  [rows, inner, columns]: readonly [rows: number, inner: number, columns: number],
): Float64Array => {
  const out = new Float64Array(rows * columns)
  for (let r = 0; r < rows; r++) {
    for (let k = 0; k < inner; k++) {
      const factor = a[r * inner + k] ?? 0
      if (factor === 0) continue
      const [from, to] = [k * columns, r * columns]
      for (let c = 0; c < columns; c++) out[to + c] = (out[to + c] ?? 0) + factor * (b[from + c] ?? 0)
    }
  }
  return out
}

/** Rows as columns. */
export const transposed = (a: Float64Array, rows: number, columns: number): Float64Array => {
  const out = new Float64Array(a.length)
  for (let r = 0; r < rows; r++) for (let c = 0; c < columns; c++) out[c * rows + r] = a[r * columns + c] ?? 0
  return out
}

export interface Eigen {
  /** One a row. */
  readonly vectors: Float64Array
  /** Descending. */
  readonly values: Float64Array
}

const sweeps = 30

/** Below this cosine two rows count as orthogonal. */
const orthogonal = 1e-14

/**
 * Eigenvectors of a symmetric, positive semidefinite matrix, one a row, those of the largest eigenvalues first: rotations of pairs
 * of rows until all rows of `V · a` are orthogonal (Hestenes 1958, one-sided Jacobi), which are then eigenvalues times
 * eigenvectors. V is orthogonal to rounding whatever the matrix. Takes about n³ · 7 operations a sweep, of which there are some ten.
 */
export const eigenvectors = (matrix: Float64Array, n: number): Eigen => {
  const largest = matrix.reduce((most, x) => Math.max(most, Math.abs(x)), 0)
  // Squares of what is left neither overflow nor vanish.
  const unit = largest > 0 ? largest : 1
  const a = matrix.map((x) => x / unit)
  const v = new Float64Array(n * n)
  for (let i = 0; i < n; i++) v[i * n + i] = 1
  for (let sweep = 0; sweep < sweeps; sweep++) {
    let rotated = false
    for (let p = 0; p < n - 1; p++) for (let q = p + 1; q < n; q++) rotated = rotatePair(a, v, n, p, q) || rotated
    if (!rotated) break
  }
  const sizes = Array.from({ length: n }, (_, i) => squares(a, n, i))
  const order = Array.from({ length: n }, (_, i) => i).sort((p, q) => (sizes[q] ?? 0) - (sizes[p] ?? 0) || p - q)
  const out = new Float64Array(n * n)
  for (const [to, from] of order.entries()) out.set(v.subarray(from * n, (from + 1) * n), to * n)
  return { vectors: out, values: Float64Array.from(order, (i) => unit * Math.sqrt(sizes[i] ?? 0)) }
}

const squares = (a: Float64Array, n: number, row: number): number => {
  let sum = 0
  for (let i = row * n; i < (row + 1) * n; i++) sum += (a[i] ?? 0) ** 2
  return sum
}

const rotatePair = (a: Float64Array, v: Float64Array, n: number, p: number, q: number): boolean => {
  let [alpha, beta, gamma] = [0, 0, 0]
  const [first, second] = [p * n, q * n]
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[first + i] ?? 0, a[second + i] ?? 0]
    alpha += x * x
    beta += y * y
    gamma += x * y
  }
  if (!(Math.abs(gamma) > orthogonal * Math.sqrt(alpha * beta))) return false
  const zeta = (beta - alpha) / (2 * gamma)
  const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta))
  const c = 1 / Math.sqrt(1 + t * t)
  rotateRows(a, first, second, n, c, c * t)
  rotateRows(v, first, second, n, c, c * t)
  return true
}

const rotateRows = (a: Float64Array, first: number, second: number, n: number, c: number, s: number): void => {
  for (let i = 0; i < n; i++) {
    const [x, y] = [a[first + i] ?? 0, a[second + i] ?? 0]
    a[first + i] = c * x - s * y
    a[second + i] = s * x + c * y
  }
}
