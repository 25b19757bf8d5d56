/** The float types as the fuzzer sees them, and constants at their edges. */
export const floatTypes = ['float32', 'float16', 'bfloat16', 'float64'] as const
export type FloatType = (typeof floatTypes)[number]

/** What IEEE 754 and its relatives say of a type. */
export interface FloatFormat {
  /** Bits of the significand, the leading one included. */
  readonly precision: number
  /** The smallest positive number, as a power of two. */
  readonly least: number
  /** Decimal exponents between which magnitudes are drawn. */
  readonly exponents: readonly [tiny: number, huge: number]
}

export const formats: Readonly<Record<FloatType, FloatFormat>> = {
  float16: { precision: 11, least: -24, exponents: [-7, 4] },
  bfloat16: { precision: 8, least: -133, exponents: [-38, 37] },
  float32: { precision: 24, least: -149, exponents: [-38, 37] },
  float64: { precision: 53, least: -1074, exponents: [-300, 300] },
}

/** Distance of neighbouring numbers of a type around `x`. */
export const ulp = (dtype: FloatType, x: number): number => {
  const { precision, least } = formats[dtype]
  const magnitude = Math.abs(x)
  if (magnitude === 0) return 2 ** least
  let exponent = Math.floor(Math.log2(magnitude))
  if (2 ** exponent > magnitude) exponent -= 1
  return 2 ** Math.max(least, exponent - precision + 1)
}

/**
 * Constants as they are (half of the time), or all of one magnitude, or a magnitude for each index along the first axis,
 * or, of a vector, numbers from -30 to 30. Half of the magnitudes are within a few powers of ten of 1.
 */
export const atTheEdge = (
  dtype: FloatType,
  shape: ReadonlyArray<number>,
  values: ReadonlyArray<number>,
  uniform: () => number,
): ReadonlyArray<number> => {
  const [tiny, huge] = formats[dtype].exponents
  const magnitude = (): number => {
    const mild = uniform() < 0.5
    const [low, high] = mild ? [Math.max(-6, tiny), Math.min(3, huge)] : [tiny, huge / 2]
    return 10 ** Math.round(low + uniform() * (high - low))
  }
  const kind = uniform()
  if (kind < 0.55) return values
  if (kind < 0.75) {
    const factor = magnitude()
    return values.map((v) => v * factor)
  }
  if (kind < 0.87 || shape.length !== 1) {
    const inner = values.length / (shape[0] ?? 1)
    const factors = Array.from({ length: shape[0] ?? 1 }, () => (uniform() < 0.5 ? 1 : magnitude()))
    return values.map((v, i) => v * (factors[Math.floor(i / inner)] ?? 1))
  }
  return values.map((v) => Math.sign(v) * 30 * uniform())
}
