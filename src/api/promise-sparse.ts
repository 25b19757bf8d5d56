/** Sparse training as in `train/sparse`, with rejecting promises where that has an `Either`. */
import { fromEither } from './settle.ts'
import * as api from '../train/sparse/index.ts'

export * from '../train/sparse/index.ts'

export const init = fromEither(api.init)
export const update = fromEither(api.update)
export const fromArrays = fromEither(api.fromArrays)
