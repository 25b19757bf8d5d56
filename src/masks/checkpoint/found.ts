/** A tensor found in a checkpoint: everything of a `FileEntry` but its name. */
import type * as E from 'fp-ts/lib/Either.js'
import type { DType } from '../../ir/dtype.ts'
import type { Dense } from '../../ir/tensor.ts'
import type { TensorFileError } from '../file-entry.ts'

export interface Found {
  readonly dtype: DType
  readonly shape: ReadonlyArray<number>
  /** Bytes that decoding it takes. */
  readonly size: number
  /** Equal for the same view of the same memory. */
  readonly storage?: string
  readonly decode: () => E.Either<TensorFileError, Dense>
}

/**
 * Bytes that a tensor may take beyond those that the file has for it: what a view repeats, or a sparse tensor leaves out.
 * A few bytes can declare any number of them.
 */
const growthLimit = 2 ** 28

/** Why a tensor of `size` bytes, for which the file has `stored`, is not decoded; undefined where it can be. */
export const tooLarge = (size: number, stored: number): string | undefined =>
  size <= Math.max(growthLimit, stored)
    ? undefined
    : `Tensors that would take ${size} bytes, for which the file has ${stored}, were passed over.`
