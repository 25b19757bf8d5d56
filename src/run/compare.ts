/** How far two tensors lie apart. */
import { sameBytes } from '../ir/equal.ts'
import { type DType, isFloat } from '../ir/dtype.ts'
import { type Dense, elements } from '../ir/tensor.ts'

/** Largest `relative` difference that counts as equal, per float type. All other types must be equal exactly. */
export interface Tolerances {
  readonly float32: number
  readonly float16: number
  readonly bfloat16: number
  readonly float64: number
}

export const defaultTolerances: Tolerances = { float32: 1e-4, float16: 2e-2, bfloat16: 2e-2, float64: 1e-9 }

/** The tolerances for an output whose numbers pass through type `through` on the way: none is stricter than for that. */
export const tolerancesThrough = (tolerances: Tolerances, through: keyof Tolerances | undefined): Tolerances => {
  if (through === undefined) return tolerances
  const least = tolerances[through]
  return {
    float32: Math.max(least, tolerances.float32),
    float16: Math.max(least, tolerances.float16),
    bfloat16: Math.max(least, tolerances.bfloat16),
    float64: Math.max(least, tolerances.float64),
  }
}

/** One output of the reference against the candidate's. */
export interface OutputDifference {
  readonly name: string
  readonly dtype: DType
  /** Shape of the reference's output. */
  readonly shape: ReadonlyArray<number>
  readonly equal: boolean
  /** Largest absolute difference over positions where both are finite; 0 for strings. */
  readonly maxAbs: number
  /** Largest absolute finite value of the reference; 0 for strings. */
  readonly maxReference: number
  /** `maxAbs / maxReference`: 0 when both are 0, Infinity when only the reference is 0 or the shapes differ. */
  readonly relative: number
  /** What `relative` may be at most; 0 for types that must be equal exactly. */
  readonly tolerance: number
  /** Positions where one is NaN or infinite and the other is not the same. */
  readonly nonFinite: number
  /** Share of the elements that differ at all, from 0 to 1, for types that must be equal exactly. */
  readonly differing?: number
  /** Share of the rows along axis 1 (classes) whose largest element stands at the same place, for float outputs. */
  readonly argmaxAgreement?: number
  /** The reference has no element, only zeros, or no finite one: agreement proves little. */
  readonly vacuous: boolean
  /** Finite elements of a float reference. */
  readonly finite?: number
  /** Every number of a float reference is 0, 1 or -1, and one is not 0: what a sigmoid or a softmax gives in its tails. */
  readonly saturated?: boolean
  /** Every number of a float32 reference is a multiple of 2^-25, as sums and differences with numbers about 1 leave it. */
  readonly coarse?: boolean
  /** Why a difference above the tolerance counts as equal: how far the reference lies from itself. */
  readonly rounding?: {
    readonly maxAbs: number
    readonly when: 'optimised otherwise' | 'inputs are rounded otherwise' | 'numbers near 1 cancel'
  }
  /** What else is wrong: another type or shape. Or why more than the tolerance counts as equal. */
  readonly note?: string
}

/** How many times ONNX Runtime's difference from itself a difference may be and still count as rounding. */
const roundingFactor = 4

/**
 * A difference above the tolerance, judged by how far the reference lies from itself (`noise`): when ONNX Runtime computes
 * it in another order, one optimisation level against another, or when its inputs are moved by their last digit. Where
 * large numbers cancel or a sigmoid saturates, a result is no more exact than that, and up to four times as much is
 * rounding.
 */
export const judgeByNoise = (
  output: OutputDifference,
  noise: OutputDifference,
  when: NonNullable<OutputDifference['rounding']>['when'],
): OutputDifference => {
  if (!isOpen(output) || noise.nonFinite > 0 || !(output.maxAbs <= roundingFactor * noise.maxAbs)) return output
  const what = when === 'optimised otherwise' ? 'optimised otherwise' : 'its inputs are moved by their last digit'
  const note = `within ${roundingFactor} times what ONNX Runtime differs from itself when ${what} (${noise.maxAbs.toExponential(1)})`
  return { ...output, equal: true, rounding: { maxAbs: noise.maxAbs, when }, note }
}

const isOpen = ({ equal, tolerance, nonFinite, note }: OutputDifference): boolean =>
  !equal && tolerance > 0 && nonFinite === 0 && note === undefined

/** The last digit of a number from 0.5 to 1 in float32; a number below 0.5 is a multiple of half of it. */
const lastDigit = 2 ** -24

const coarseUnits = 2 / lastDigit

/**
 * The tail of a sigmoid, which ONNX Runtime computes as 0.5 and a fraction: what cancelled has the last digit of 0.5, and two or three
 * of these may be all of the largest number.
 */
export const judgeTail = (output: OutputDifference): OutputDifference => {
  if (!isOpen(output) || output.coarse !== true || output.maxAbs > roundingFactor * lastDigit) return output
  const note = `within ${roundingFactor} times the last digit of numbers near 1 (${lastDigit.toExponential(1)}), of which multiples are left`
  return { ...output, equal: true, rounding: { maxAbs: lastDigit, when: 'numbers near 1 cancel' }, note }
}

/** Share of positions off axis 1 at which both have their largest element along axis 1 at the same index. */
const argmaxAgreement = (
  a: ArrayLike<number>,
  b: ArrayLike<number>,
  shape: ReadonlyArray<number>,
): number | undefined => {
  const classes = shape[1]
  if (classes === undefined || classes < 2 || a.length === 0) return undefined
  const inner = shape.slice(2).reduce((x, y) => x * y, 1)
  const rows = a.length / classes
  const argmax = (x: ArrayLike<number>, start: number): number => {
    let best = 0
    for (let c = 1; c < classes; c++) if ((x[start + c * inner] ?? 0) > (x[start + best * inner] ?? 0)) best = c
    return best
  }
  let same = 0
  for (let row = 0; row < rows; row++) {
    const start = Math.floor(row / inner) * classes * inner + (row % inner)
    if (argmax(a, start) === argmax(b, start)) same += 1
  }
  return same / rows
}

type Base = Pick<OutputDifference, 'name' | 'dtype' | 'shape'>

const compareStrings = (base: Base, a: ReadonlyArray<Uint8Array>, b: ReadonlyArray<Uint8Array>): OutputDifference => {
  let different = 0
  for (let i = 0; i < a.length; i++) if (!sameBytes(a[i] ?? new Uint8Array(), b[i] ?? new Uint8Array())) different += 1
  const differing = a.length === 0 ? 0 : different / a.length
  return {
    ...base,
    equal: different === 0 && a.length === b.length,
    maxAbs: 0,
    maxReference: 0,
    relative: different === 0 ? 0 : Infinity,
    tolerance: 0,
    nonFinite: 0,
    differing,
    vacuous: a.every((s) => s.length === 0),
  }
}

const quotient = (a: number, b: number): number => (a === 0 ? 0 : a / b)

const compareWide = (
  base: Base,
  a: BigInt64Array | BigUint64Array,
  b: BigInt64Array | BigUint64Array,
): OutputDifference => {
  let different = 0
  let delta = 0n
  let largest = 0n
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? 0n
    const y = b[i] ?? 0n
    const d = x > y ? x - y : y - x
    const size = x < 0n ? -x : x
    if (d > 0n) different += 1
    if (d > delta) delta = d
    if (size > largest) largest = size
  }
  return exact(base, a.length, different, Number(delta), Number(largest))
}

const exact = (
  base: Base,
  count: number,
  different: number,
  maxAbs: number,
  maxReference: number,
): OutputDifference => ({
  ...base,
  equal: different === 0,
  maxAbs,
  maxReference,
  relative: quotient(maxAbs, maxReference),
  tolerance: 0,
  nonFinite: 0,
  differing: count === 0 ? 0 : different / count,
  vacuous: maxReference === 0,
})

const compareNumbers = (
  base: Base,
  a: Float32Array | Float64Array,
  b: Float32Array | Float64Array,
  tolerance: number | undefined,
): OutputDifference => {
  let maxAbs = 0
  let maxReference = 0
  let nonFinite = 0
  let different = 0
  let saturated = a.length > 0
  let coarse = base.dtype === 'float32'
  let finite = 0
  for (let i = 0; i < a.length; i++) {
    const x = a[i] ?? NaN
    const y = b[i] ?? NaN
    if (x !== 0 && x !== 1 && x !== -1) saturated = false
    if (Number.isFinite(x)) {
      finite += 1
      maxReference = Math.max(maxReference, Math.abs(x))
      coarse &&= Number.isInteger(x * coarseUnits)
    }
    if (Number.isFinite(x) && Number.isFinite(y)) {
      if (x === y) continue
      different += 1
      maxAbs = Math.max(maxAbs, Math.abs(x - y))
    } else if (!Object.is(x, y)) {
      nonFinite += 1
    }
  }
  if (tolerance === undefined) return exact(base, a.length, different, maxAbs, maxReference)
  const relative = quotient(maxAbs, maxReference)
  const agreement = argmaxAgreement(a, b, base.shape)
  return {
    ...base,
    equal: relative <= tolerance && nonFinite === 0,
    maxAbs,
    maxReference,
    relative,
    tolerance,
    nonFinite,
    ...(agreement === undefined ? {} : { argmaxAgreement: agreement }),
    vacuous: maxReference === 0,
    finite,
    ...(saturated && maxReference > 0 ? { saturated } : {}),
    ...(coarse && maxReference > 0 ? { coarse } : {}),
  }
}

const toleranceOf = (dtype: DType, tolerances: Tolerances): number | undefined => {
  switch (dtype) {
    case 'float32':
    case 'float16':
    case 'bfloat16':
    case 'float64':
      return tolerances[dtype]
    default:
      return undefined
  }
}

/** Compares the output called `name` of the reference and the candidate. */
export const compareOutput = (
  name: string,
  reference: Dense,
  candidate: Dense,
  tolerances: Tolerances = defaultTolerances,
): OutputDifference => {
  const { dtype, shape } = reference
  const base = { name, dtype, shape }
  const tolerance = toleranceOf(dtype, tolerances)
  const sameShape = shape.length === candidate.shape.length && shape.every((d, i) => d === candidate.shape[i])
  if (dtype !== candidate.dtype || !sameShape) {
    const show = (x: Dense): string => `${x.dtype}[${x.shape.join(', ')}]`
    const note = `the reference gives ${show(reference)}, the candidate ${show(candidate)}`
    const none = { maxAbs: Infinity, maxReference: 0, relative: Infinity, nonFinite: 0 }
    return { ...base, equal: false, ...none, tolerance: tolerance ?? 0, vacuous: false, note }
  }
  if (dtype === 'string') return compareStrings(base, reference.strings ?? [], candidate.strings ?? [])
  const a = elements(reference)
  const b = elements(candidate)
  if (a instanceof BigInt64Array || a instanceof BigUint64Array) {
    return compareWide(base, a, b instanceof BigInt64Array || b instanceof BigUint64Array ? b : new BigInt64Array())
  }
  const numbers = b instanceof Float32Array || b instanceof Float64Array ? b : new Float64Array()
  return compareNumbers(base, a, numbers, isFloat(dtype) ? tolerance : undefined)
}
