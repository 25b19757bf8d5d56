/** What the readers of tensor files have in common. */
import type { Either } from 'fp-ts/lib/Either.js'
import { failure, type Failure } from '../ir/failure.ts'
import type { Dense } from '../ir/tensor.ts'

export type TensorFileError = Failure<'TensorFileError'>

export const tensorFileError = (subject: string, expected: string, found: string, help: string): TensorFileError =>
  failure('TensorFileError', subject, expected, found, help)

/** A tensor of a file, not decoded before it is asked for. */
export interface FileEntry {
  readonly name: string
  /** Bytes that decoding it takes, as the file declares them. */
  readonly size: number
  readonly decode: () => Either<TensorFileError, Dense>
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
