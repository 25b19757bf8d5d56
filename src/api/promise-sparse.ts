/** Sparse training as in `train/sparse`, with rejecting promises where that has an `Either`. */
import { fromEither } from './settle.ts'
import * as api from '../train/sparse/index.ts'

export * from '../train/sparse/index.ts'

/** The first state of a policy: its masks. `layers` in the order in which weights are given later. */
export const init = fromEither(api.init)
/** The state after `step`: what is pruned and grown then. Weights and gradients are one array for each layer. */
export const update = fromEither(api.update)
/** A state from what was saved of one. */
export const fromArrays = fromEither(api.fromArrays)
