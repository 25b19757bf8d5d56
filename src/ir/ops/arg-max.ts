import { argReduction } from '../families/arg-reduction.ts'

/** Index of the largest element along an axis. */
export const ArgMax = argReduction('ArgMax', (a, b) => a > b)
