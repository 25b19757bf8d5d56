import type { Difference, Unseen } from '../run/verify.ts'
import type { Tolerances } from '../run/compare.ts'

/** What was verified, without anything that differs from machine to machine. */
export interface VerificationRecord {
  readonly equal: boolean
  /** Nothing was seen of any output: agreement proves nothing. */
  readonly vacuous: boolean
  /** Outputs of which agreement proves little, and why. Absent in records of before there was this. */
  readonly unseen?: ReadonlyArray<Unseen>
  /** Largest relative difference (max |Δ| / max |reference|) that counts as equal. */
  readonly tolerance: Tolerances
  readonly runtime: string
  readonly provider: string
  /** `magnitude` is the factor on float inputs, where it is not 1. */
  readonly cases: ReadonlyArray<{
    readonly seed?: number
    readonly magnitude?: number
    readonly sizes: Readonly<Record<string, number>>
  }>
}

export const recordVerification = (difference: Difference): VerificationRecord => ({
  equal: difference.equal,
  vacuous: difference.vacuous,
  unseen: difference.unseen,
  tolerance: difference.tolerance,
  runtime: difference.runtime,
  provider: difference.provider,
  cases: difference.cases.map(({ seed, magnitude, sizes }) => ({
    ...(seed === undefined ? {} : { seed }),
    ...(magnitude === undefined ? {} : { magnitude }),
    sizes,
  })),
})
