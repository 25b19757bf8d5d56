import { argReduction } from '../families/arg-reduction.ts'

/** Index of the smallest element along an axis. */
export const ArgMin = argReduction('ArgMin', (a, b) => a < b)
