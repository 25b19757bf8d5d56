/** Why something cannot be written. */
import { type Failure, failure } from '../ir/failure.ts'

export type WriteError = Failure<'WriteError'>

export const writeError = (subject: string, expected: string, found: string, help: string): WriteError =>
  failure('WriteError', subject, expected, found, help)
