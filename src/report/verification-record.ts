import type { Difference } from '../run/verify.ts'
import type { Tolerances } from '../run/compare.ts'

/** What was verified, without anything that differs from machine to machine. */
export interface VerificationRecord {
  readonly equal: boolean
  /** Every output was empty or all zeros: agreement proves little. */
  readonly vacuous: boolean
  /** Largest relative difference (max |Δ| / max |reference|) that counts as equal. */
  readonly tolerance: Tolerances
  readonly runtime: string
  readonly provider: string
  readonly cases: ReadonlyArray<{ readonly seed?: number; readonly sizes: Readonly<Record<string, number>> }>
}

export const recordVerification = (difference: Difference): VerificationRecord => ({
  equal: difference.equal,
  vacuous: difference.vacuous,
  tolerance: difference.tolerance,
  runtime: difference.runtime,
  provider: difference.provider,
  cases: difference.cases.map(({ seed, sizes }) => (seed === undefined ? { sizes } : { seed, sizes })),
})
