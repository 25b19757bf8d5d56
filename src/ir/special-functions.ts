/** Functions of real numbers that JavaScript lacks, to double precision. */
import type { Precision } from './numerics.ts'

/**
 * Error function, by the series `2/√π · e^(-x²) · Σ 2ⁿ x^(2n+1) / (2n+1)!!`, whose terms all have one sign; beyond 6 it is
 * 1 to double precision.
 */
export const erf = (x: number): number => {
  const magnitude = Math.abs(x)
  if (!(magnitude < 6)) return Number.isNaN(x) ? NaN : Math.sign(x)
  let term = x
  let sum = x
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 2 ** -54; n++) {
    term *= (2 * x * x) / (2 * n + 1)
    sum += term
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum
}

/** The nearest integer, halves to the even one. */
export const roundHalfToEven = (x: number): number => {
  const floor = Math.floor(x)
  const rest = x - floor
  if (rest !== 0.5) return rest < 0.5 ? floor : floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

/** `1 / (1 + e^-x)` without overflow on either side. */
export const logistic = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)))

/** `log(1 + e^x)` without overflow. */
export const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))

/** `(Σ |x|^p)^(1/p)`. */
export const norm = (values: ReadonlyArray<number>, p: number): number => {
  let sum = 0
  for (const v of values) sum += Math.abs(v) ** p
  return sum ** (1 / p)
}

/**
 * The norm of `count` equal numbers; undefined where a runtime's powers of them leave the normal numbers of their type, so
 * that it computes another one, or infinity.
 */
export const normOfEqual = (
  c: number,
  count: number,
  p: number,
  { normal, largest }: Precision,
): number | undefined => {
  if (c === 0) return 0
  const power = Math.abs(c) ** p
  return power >= normal && count * power <= largest ? Math.abs(c) * count ** (1 / p) : undefined
}

export const sumOf = (values: ReadonlyArray<number>): number => {
  let sum = 0
  for (const v of values) sum += v
  return sum
}

export const maximumOf = (values: ReadonlyArray<number>): number => {
  let largest = -Infinity
  for (const v of values) largest = v > largest || Number.isNaN(v) ? v : largest
  return largest
}

export const minimumOf = (values: ReadonlyArray<number>): number => {
  let smallest = Infinity
  for (const v of values) smallest = v < smallest || Number.isNaN(v) ? v : smallest
  return smallest
}

/** `e^(v - largest)` of each value: none overflows, and their ratios are those of `e^v`. */
export const exponentials = (values: ReadonlyArray<number>): ReadonlyArray<number> => {
  const largest = maximumOf(values)
  return values.map((v) => Math.exp(v - largest))
}
