import { type Failure, failure } from '../../ir/failure.ts'

/** Why sparse training cannot start or go on with what it was given. */
export type SparseError = Failure<'SparseError'>

export const sparseError = (subject: string, expected: string, found: string, help: string): SparseError =>
  failure('SparseError', subject, expected, found, help)
