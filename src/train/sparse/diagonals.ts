/** Wrapped diagonals of matrices, and a soft choice between them that can be trained. */
import { type Layer, sizeOfLayer } from './network.ts'

/** The larger side of a matrix has as many wrapped diagonals as indices, each as long as the smaller side. */
export interface Diagonals {
  /** Which one each weight lies on, row-major. */
  readonly of: Uint32Array
  readonly count: number
  readonly length: number
}

/** Diagonal p of a matrix of at least as many rows (outputs) as columns holds row (c + p) mod rows of column c; else turned around. */
export const diagonalsOf = ({
  shape,
  outputAxis,
  inputAxis,
}: Pick<Layer, 'shape' | 'outputAxis' | 'inputAxis'>): Diagonals => {
  const [rows = 1, columns = 1] = [shape[outputAxis], shape[inputAxis]]
  const [down, along] = [outputAxis, inputAxis].map((axis) => sizeOfLayer({ shape: shape.slice(axis + 1) }))
  const count = Math.max(rows, columns)
  const of = Uint32Array.from({ length: sizeOfLayer({ shape }) }, (_, i) => {
    const [row, column] = [Math.floor(i / (down ?? 1)) % rows, Math.floor(i / (along ?? 1)) % columns]
    return (count + (rows >= columns ? row - column : column - row)) % count
  })
  return { of, count, length: Math.min(rows, columns) }
}

/** What float arithmetic may take from a whole number. */
const slack = 1e-9

/** How many whole diagonals it takes to keep that fraction of the weights, one at least. */
export const diagonalsKept = ({ of, count, length }: Diagonals, density: number): number =>
  Math.min(count, Math.max(1, Math.ceil(Math.floor(density * of.length + slack) / length)))

/** softmax(x / temperature). */
const softmax = (x: Float32Array, temperature: number): Float64Array => {
  const largest = x.reduce((a, b) => Math.max(a, b), -Infinity)
  const powers = Float64Array.from(x, (v) => Math.exp((v - largest) / temperature))
  const sum = powers.reduce((a, b) => a + b, 0)
  return powers.map((v) => v / sum)
}

/** min(1, k · softmax(x / temperature)): numbers that come to be k ones where the temperature falls. */
export const softBest = (x: Float32Array, k: number, temperature: number): Float64Array =>
  softmax(x, temperature).map((p) => Math.min(1, k * p))

/** The gradient by x of what has the gradient `dy` by `softBest` of it. */
export const softBestGradient = (x: Float32Array, k: number, temperature: number, dy: Float64Array): Float64Array => {
  const p = softmax(x, temperature)
  const dp = p.map((value, i) => (k * value <= 1 ? k * (dy[i] ?? 0) : 0))
  const mean = dp.reduce((sum, d, i) => sum + d * (p[i] ?? 0), 0)
  return p.map((value, i) => (value * ((dp[i] ?? 0) - mean)) / temperature)
}

/** Sums over the weights of each diagonal. */
export const sumsByDiagonal = ({ of, count }: Diagonals, values: Float32Array): Float64Array => {
  const out = new Float64Array(count)
  for (let i = 0; i < of.length; i++) out[of[i] ?? 0] = (out[of[i] ?? 0] ?? 0) + (values[i] ?? 0)
  return out
}

/** For each weight the number of its diagonal. */
export const spreadOver = ({ of }: Diagonals, values: ArrayLike<number>): Float32Array =>
  Float32Array.from(of, (p) => values[p] ?? 0)
