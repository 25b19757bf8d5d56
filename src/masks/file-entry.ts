/** What the readers of tensor files have in common. */
import type { Either } from 'fp-ts/lib/Either.js'
import { failure, type Failure } from '../ir/failure.ts'
import type { DType } from '../ir/dtype.ts'
import type { Dense } from '../ir/tensor.ts'

export type TensorFileError = Failure<'TensorFileError'>

export const tensorFileError = (subject: string, expected: string, found: string, help: string): TensorFileError =>
  failure('TensorFileError', subject, expected, found, help)

/** A tensor of a file, not decoded before it is asked for. */
export interface FileEntry {
  /** Its key in the innermost container that holds it. */
  readonly name: string
  /** The keys of the containers around that one, outermost first; absent where the file is one container. */
  readonly within?: ReadonlyArray<string>
  /** Bytes that decoding it takes, as the file declares them. */
  readonly size: number
  /** What the file says before anything is decoded, if it does. */
  readonly shape?: ReadonlyArray<number>
  readonly dtype?: DType
  /** Equal for entries that are the same view of the same memory: a parameter under two names. */
  readonly storage?: string
  readonly decode: () => Either<TensorFileError, Dense>
}

/** What a file of tensors holds. */
export interface FileContents {
  /** In the order of the file. */
  readonly entries: ReadonlyArray<FileEntry>
  /** What was passed over, one sentence each: objects of classes that are no tensors. */
  readonly notes: ReadonlyArray<string>
}

/** Product of sizes, or undefined where it, or a size itself, is no exact count. */
export const countOf = (shape: ReadonlyArray<number>): number | undefined => {
  let count = 1
  for (const d of shape) {
    if (!Number.isSafeInteger(d) || d < 0) return undefined
    count *= d
    if (!Number.isSafeInteger(count)) return undefined
  }
  return count
}
