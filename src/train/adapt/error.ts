import { type Failure, failure } from '../../ir/failure.ts'

/** Why a trained network cannot be made to fit other images or classes. */
export type AdaptError = Failure<'AdaptError'>

export const adaptError = (subject: string, expected: string, found: string, help: string): AdaptError =>
  failure('AdaptError', subject, expected, found, help)
