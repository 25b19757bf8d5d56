import { type Failure, failure } from '../../ir/failure.ts'

/** What can be wrong with a data set: a file that is missing or damaged, or a name that says nothing. */
export type DataError = Failure<'DataError'>

export const dataError = (subject: string, expected: string, found: string, help: string): DataError =>
  failure('DataError', subject, expected, found, help)
