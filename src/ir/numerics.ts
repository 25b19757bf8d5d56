/**
 * Which new constants may stand for old ones. Every rewrite that changes weights, biases or the order of sums asks here,
 * and nowhere else, before anything is written; what is not admissible it leaves as it is and says why.
 *
 * Floating-point arithmetic is the specification. A rewrite is admissible when
 *  - *finite stays finite*: new constants are finite in their type, and no term of a sum grows beyond {@link growthLimit}
 *    times what it was, unless it stays below what it is made from;
 *  - *no digit is lost*: a new constant that is below the normal numbers of its type is no further off than a few units in
 *    the last place of what it comes from ({@link fits});
 *  - *no sum is re-associated across cancellation*: constants that cancel must not be far above what is left
 *    ({@link cancels}), and a constant that is added before a product stays where the sum is exact;
 *  - *a carrier is of the magnitude of what it carries* ({@link carrierRatio}).
 */
import { type DType, fromBfloat16, fromFloat16, isFloat, toBfloat16, toFloat16 } from './dtype.ts'
import { invariant } from './failure.ts'

/** Why a rewrite is not admissible, in words that continue "is not folded: ". */
export type Refusal = string

/** Of a binary floating-point type. */
export interface Precision {
  /** Bits of the significand, the leading one included: numbers are rounded to a relative 2^-digits. */
  readonly digits: number
  /** The smallest positive normal number. */
  readonly normal: number
  /** The smallest positive number. */
  readonly tiny: number
  /** The largest finite number. */
  readonly largest: number
}

const precisions: ReadonlyMap<DType, Precision> = new Map([
  ['float16', { digits: 11, normal: 2 ** -14, tiny: 2 ** -24, largest: 65504 }],
  ['bfloat16', { digits: 8, normal: 2 ** -126, tiny: 2 ** -133, largest: (2 - 2 ** -7) * 2 ** 127 }],
  ['float32', { digits: 24, normal: 2 ** -126, tiny: 2 ** -149, largest: (2 - 2 ** -23) * 2 ** 127 }],
  ['float64', { digits: 53, normal: 2 ** -1022, tiny: 2 ** -1074, largest: Number.MAX_VALUE }],
] as const)

export const precisionOf = (dtype: DType): Precision => {
  const found = precisions.get(dtype)
  invariant(found !== undefined && isFloat(dtype), `the precision of ${dtype}`)
  return found
}

/** `x` rounded once to a floating-point type, too large numbers to infinity. */
export const roundTo = (dtype: DType, x: number): number => {
  switch (dtype) {
    case 'float32':
      return Math.fround(x)
    case 'float16':
      return fromFloat16(toFloat16(x))
    case 'bfloat16':
      return fromBfloat16(toBfloat16(x))
    default:
      return x
  }
}

/** How many units in the last place of what it comes from a new constant may be off. */
const unitsLost = 2

/**
 * Whether `x`, rounded to the type of `precision`, keeps its digits: it is normal, or its error is at most a few units in
 * the last place of `magnitude`, the largest of the terms that `x` is the sum of. Of a product of a factor and a constant
 * w that is `|factor| · max(|w|, normal)`: a subnormal w has lost its digits before.
 */
export const fits = ({ digits, normal, tiny, largest }: Precision, x: number, magnitude: number): boolean => {
  const size = Math.abs(x)
  if (size >= normal) return size <= largest * (1 + 2 ** (-digits - 1))
  // What was computed in double is rounded to a double already.
  const error = digits === 53 ? tiny : Math.abs(Math.round(size / tiny) * tiny - size)
  return error <= unitsLost * 2 ** -digits * magnitude
}

/**
 * By how much a rewrite may multiply the terms of a sum. Where they cancel, the masked model is finite up to the largest
 * number of the type divided by their number; the compiled one may overflow this factor earlier, no sooner.
 */
export const growthLimit = ({ largest }: Precision): number => (largest < 2 ** 17 ? 2 ** 8 : 2 ** 16)

/** How much larger a constant may be than the carrier that takes it on. */
export const carrierRatio = 4

/**
 * Whether joining two constants of magnitude `before` into one of magnitude `after` would undo a rounding that they were
 * there for, as `(x + 1.5 · 2^23) - 1.5 · 2^23` does: the first sum keeps few digits of terms of magnitude `terms`.
 */
export const cancels = ({ digits }: Precision, before: number, after: number, terms = 0): boolean =>
  before > Math.max(after, terms) * 2 ** Math.min(10, Math.floor(digits / 2) - 2)

/**
 * Whether a constant that a runtime computes with an error of up to `error` is known well enough to stand for what is
 * computed: to about half its digits, at most ten bits lost. Zeros and exact constants have no error; subnormal numbers of
 * float32 and double are not trusted, since some runtimes flush them.
 */
export const isAccurate = ({ digits, normal }: Precision, x: number, error: number): boolean =>
  (x === 0 || Math.abs(x) >= Math.min(normal, 2 ** -126)) &&
  error <= Math.abs(x) * 2 ** (Math.min(10, Math.floor(digits / 2)) - digits)
